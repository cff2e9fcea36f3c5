import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="models">Not built yet.</Empty>;
}
