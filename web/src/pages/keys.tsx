import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="keys">Not built yet.</Empty>;
}
