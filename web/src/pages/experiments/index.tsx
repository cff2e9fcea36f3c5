/** Experiments: a list, and each with what came of it. */

import "../../parts/virtual.css";
import "./experiments.css";

import { useParams } from "react-router";
import { ExperimentList } from "./ExperimentList";
import { ExperimentPage } from "./ExperimentPage";

export default function Page() {
  const { id } = useParams();
  return id === undefined ? <ExperimentList /> : <ExperimentPage key={id} name={id} />;
}
