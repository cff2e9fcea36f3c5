/** Leaderboards and the tasks that they are made of. */

import "../../parts/virtual.css";
import "./leaderboards.css";

import { useParams } from "react-router";
import { BoardList } from "./BoardList";
import { BoardPage } from "./BoardPage";

export default function Page() {
  const { id } = useParams();
  return id === undefined ? <BoardList /> : <BoardPage key={id} name={id} />;
}
