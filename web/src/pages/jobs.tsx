import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="jobs">Not built yet.</Empty>;
}
