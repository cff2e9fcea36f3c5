import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="playground">Not built yet.</Empty>;
}
