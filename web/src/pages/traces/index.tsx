import { useParams } from "react-router";
import { TraceList } from "./TraceList";
import { TracePage } from "./TracePage";

export default function Page() {
  const { id } = useParams();
  return id === undefined ? <TraceList /> : <TracePage id={id} />;
}
