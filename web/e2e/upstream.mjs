/** An upstream that streams a call of a tool, breaks off in the middle of its answer, or adds numbers as well as it is told to. */

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
  sums: async (response, { messages }, released) => {
    if (messages[0].content.includes("patiently")) await released;
    const [, a, b] = /(\d+) \+ (\d+)/.exec(messages.at(-1).content).map(Number);
    const right = messages[0].content.includes("carefully") || a % 2 === 0;
    const message = { role: "assistant", content: `The sum is ${a + b + (right ? 0 : 1)}` };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "sums", choices: [{ index: 0, message, finish_reason: "stop" }], usage: { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 } }));
  },
};

/** Starts it on a free port; what it was asked stands in `asked`. Sums that are wanted patiently come after `release`. */
export async function openUpstream() {
  const asked = [];
  let release;
  const released = new Promise((done) => (release = done));
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += piece));
    request.on("end", () => {
      response.setHeader("content-type", request.method === "POST" ? "text/event-stream" : "application/json");
      if (request.method !== "POST") return response.end(JSON.stringify({ object: "list", data: Object.keys(ANSWERS).map((id) => ({ id, object: "model" })) }));
      asked.push(JSON.parse(text));
      ANSWERS[asked.at(-1).model](response, asked.at(-1), released);
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${server.address().port}/v1`;
  const config = `[net]\nallow = ["127.0.0.1"]\n[[providers]]\nname = "stub"\nbase_url = "${url}"\n`;
  return { asked, release, config, close: () => new Promise((closed) => { server.closeAllConnections(); server.close(closed); }) };
}
