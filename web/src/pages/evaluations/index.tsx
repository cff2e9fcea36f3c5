/** Evaluations: a list, and each with its report. */

import "../../parts/virtual.css";
import "./evaluations.css";

import { lazy, Suspense } from "react";
import { useParams, useSearchParams } from "react-router";
import { Waiting } from "../../parts/states";
import { EvaluationList } from "./EvaluationList";
import { EvaluationPage } from "./EvaluationPage";

// Fetched when somebody makes one: most who open the page read.
const NewEvaluation = lazy(() => import("./NewEvaluation"));

export default function Page() {
  const { id } = useParams();
  const [params] = useSearchParams();
  if (id === undefined && params.has("new")) return <Suspense fallback={<Waiting what="Loading the form" />}><NewEvaluation /></Suspense>;
  return id === undefined ? <EvaluationList /> : <EvaluationPage key={id} name={id} />;
}
