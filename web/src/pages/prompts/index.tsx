/** Prompts: a list, and each with its versions. */

import "./prompts.css";

import { useParams, useSearchParams } from "react-router";
import { NewPrompt } from "./Editor";
import { PromptList } from "./PromptList";
import { PromptPage } from "./PromptPage";

export default function Page() {
  const { id } = useParams();
  const [params] = useSearchParams();
  if (id !== undefined) return <PromptPage key={id} name={id} />;
  return params.has("new") ? <NewPrompt /> : <PromptList />;
}
