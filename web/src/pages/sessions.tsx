import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="sessions">Not built yet.</Empty>;
}
