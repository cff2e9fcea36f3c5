/** Experiments: a list, and each with what came of it. */

import "../../parts/virtual.css";
import "./experiments.css";

import { lazy, Suspense } from "react";
import { useParams, useSearchParams } from "react-router";
import { Waiting } from "../../parts/states";
import { ExperimentList } from "./ExperimentList";
import { ExperimentPage } from "./ExperimentPage";

// Fetched when somebody makes one: most who open the page read.
const NewExperiment = lazy(() => import("./NewExperiment"));

export default function Page() {
  const { id } = useParams();
  const [params] = useSearchParams();
  if (id === undefined && params.has("new")) return <Suspense fallback={<Waiting what="Loading the form" />}><NewExperiment /></Suspense>;
  return id === undefined ? <ExperimentList /> : <ExperimentPage key={id} name={id} />;
}
