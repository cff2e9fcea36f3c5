import { Empty } from "../parts/states";

export default function Page() {
  return <Empty title="users">Not built yet.</Empty>;
}
