/** An upstream that streams a call of a tool, or breaks off in the middle of its answer. */

import { createServer } from "node:http";

function chunk(delta, finish = null) {
  return `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "stub", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
}

const call = (part) => ({ tool_calls: [{ index: 0, ...part }] });

const ANSWERS = {
  "calls-tools": (response) => {
    response.write(chunk({ role: "assistant", ...call({ id: "call_1", type: "function", function: { name: "distance", arguments: "" } }) }));
    for (const part of ['{"to":', '"harbour"}']) response.write(chunk(call({ function: { arguments: part } })));
    response.end(chunk({}, "tool_calls") + "data: [DONE]\n\n");
  },
  "breaks-off": (response) => {
    response.write(chunk({ role: "assistant", content: "Steer north" }));
    response.write(chunk({ content: "-east" }), () => response.destroy());
  },
};

/** Starts it on a free port; what it was asked stands in `asked`. */
export async function openUpstream() {
  const asked = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      response.setHeader("content-type", request.method === "POST" ? "text/event-stream" : "application/json");
      if (request.method !== "POST") return response.end(JSON.stringify({ object: "list", data: Object.keys(ANSWERS).map((id) => ({ id, object: "model" })) }));
      asked.push(JSON.parse(text));
      ANSWERS[asked.at(-1).model](response);
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${server.address().port}/v1`;
  const config = `[net]\nallow = ["127.0.0.1"]\n[[providers]]\nname = "stub"\nbase_url = "${url}"\n`;
  return { asked, config, close: () => new Promise((closed) => { server.closeAllConnections(); server.close(closed); }) };
}
