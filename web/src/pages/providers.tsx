import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="providers">Not built yet.</Empty>;
}
