/** Evaluations: a list, and each with its report. */

import "../../parts/virtual.css";
import "./evaluations.css";

import { useParams } from "react-router";
import { EvaluationList } from "./EvaluationList";
import { EvaluationPage } from "./EvaluationPage";

export default function Page() {
  const { id } = useParams();
  return id === undefined ? <EvaluationList /> : <EvaluationPage key={id} name={id} />;
}
