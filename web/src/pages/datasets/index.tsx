/** Datasets: a list, and each with its rows, versions and differences. */

import { useParams } from "react-router";
import { DatasetList } from "./DatasetList";
import { DatasetPage } from "./DatasetPage";

export default function Page() {
  const { id } = useParams();
  return id === undefined ? <DatasetList /> : <DatasetPage key={id} name={id} />;
}
