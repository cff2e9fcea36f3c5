/** An upstream that streams a call of a tool, breaks off in the middle of its answer, adds numbers as well as it is told to, judges sums, or goes on with them. */

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
    whole(response, "sums", message.content);
  },
  // Wrong is what says two sums; of every twentieth number it cannot tell.
  judging: (response, { messages }) => {
    const text = messages.map(({ content }) => content).join("\n");
    const sums = new Set([...text.matchAll(/The sum is (\d+)/g)].map(([, sum]) => sum));
    const unsure = /What is (7|27|47) \+/.test(text);
    whole(response, "judging", JSON.stringify({ reasoning: `It has ${sums.size === 1 ? "one sum" : "two sums"}.`, verdict: unsure ? "cannot tell" : sums.size === 1 ? "correct" : "wrong" }));
  },
  good: (response, { prompt }) => goOn(response, "good", prompt, 1),
  fair: (response, { prompt }) => goOn(response, "fair", prompt, 2),
  poor: (response, { prompt }) => goOn(response, "poor", prompt, 4),
};

/** An answer in one piece. */
function whole(response, model, content) {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ id: "c", object: "chat.completion", created: 1, model, choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }], usage: { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 } }));
}

/** Goes on with `n + n = `, rightly where n is a multiple of `every`. */
function goOn(response, model, prompt, every) {
  const n = Number(/(\d+) \+ \d+ =\s*$/.exec(String(prompt))?.[1] ?? 0);
  const text = n % every === 0 ? ` ${2 * n}` : " no idea";
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ id: "c", object: "text_completion", created: 1, model, choices: [{ index: 0, text, logprobs: null, finish_reason: "stop" }], usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } }));
}

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
