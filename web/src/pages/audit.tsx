import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="audit">Not built yet.</Empty>;
}
