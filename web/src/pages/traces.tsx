import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="traces">Not built yet.</Empty>;
}
