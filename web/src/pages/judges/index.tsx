/** Judges: a list, and each with what its word is worth. */

import "../../parts/virtual.css";
import "./judges.css";

import { useParams } from "react-router";
import { JudgeList } from "./JudgeList";
import { JudgePage } from "./JudgePage";

export default function Page() {
  const { id } = useParams();
  return id === undefined ? <JudgeList /> : <JudgePage key={id} name={id} />;
}
