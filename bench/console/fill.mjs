/** Fills a lake over HTTP with spans of thirty days, and one trace of very many nested spans. */

const MODELS = [["gpt-4o-mini", "openai", 300], ["gpt-4o", "openai", 900], ["claude-haiku", "anthropic", 450], ["llama-3.1-8b", "vllm", 600], ["smollm2-135m-instruct", "local", 1500]];
const WORDS = "harbour lantern copper river orchard winter signal meadow captain thunder velvet granite compass island ember willow canyon falcon marble sailor garden".split(" ");
const BATCH = 1_000;
const IN_FLIGHT = 4;
const DAY_MS = 86_400_000;
export const LONG_TRACE = "f".repeat(32);

/** A generator of numbers that is the same in every run (mulberry32). */
function drawer(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const hex = (number, width) => number.toString(16).padStart(width, "0");

function sentence(draw, words) {
  return Array.from({ length: words }, () => WORDS[Math.floor(draw() * WORDS.length)]).join(" ");
}

/** One call, at some moment of the last `days` days. */
function call(draw, number, now, days) {
  const [model, provider, usual] = MODELS[Math.floor(draw() ** 2 * MODELS.length)];
  const started = now - Math.floor(draw() * days * DAY_MS);
  // Log-normal, as latencies are.
  const took = Math.round(usual * Math.exp(0.6 * Math.sqrt(-2 * Math.log(draw() + 1e-12)) * Math.cos(2 * Math.PI * draw())));
  const failed = draw() < 0.01;
  const output = failed ? 0 : 20 + Math.floor(draw() * 200);
  return {
    trace_id: hex(number + 1, 32), span_id: hex(number + 1, 16), kind: "llm", name: "chat", provider, model, model_requested: model,
    start_time: new Date(started).toISOString(), end_time: new Date(started + took).toISOString(), ttft_ms: failed ? null : took * (0.1 + 0.2 * draw()),
    status: failed ? "error" : "ok", status_message: failed ? "429: too many requests" : null, environment: draw() < 0.8 ? "production" : "staging",
    session_id: `s-${number >> 2}`, user_id: `u-${Math.floor(draw() ** 3 * 5000)}`,
    input: [{ role: "system", content: "Answer briefly and truthfully." }, { role: "user", content: sentence(draw, 40) }],
    output: failed ? null : [{ role: "assistant", content: sentence(draw, 40) }],
    input_tokens: 60 + Math.floor(draw() * 500), output_tokens: output, cost_picodollars: output * 600_000,
  };
}

/** A tree, eight children to a span, each a little inside its parent's time. */
function nested(number, count, now) {
  const parent = number === 0 ? null : Math.floor((number - 1) / 8);
  const [from, to] = [now + number, now + 2 * count - number];
  const kinds = ["agent", "chain", "tool", "retriever", "llm"];
  return {
    trace_id: LONG_TRACE, span_id: hex(0xabc0000000 + number, 16), parent_id: parent === null ? null : hex(0xabc0000000 + parent, 16),
    kind: kinds[number === 0 ? 0 : 1 + (number % 4)], name: `step ${number}`, start_time: new Date(from).toISOString(), end_time: new Date(to).toISOString(),
    input: { number }, model: number % 4 === 3 ? "gpt-4o-mini" : null, input_tokens: number % 4 === 3 ? 20 : null, output_tokens: number % 4 === 3 ? 8 : null,
  };
}

/** Appends `count` calls and the long trace; four batches are on their way at a time. */
export async function fill(house, { count, days, longTraceSpans }) {
  const draw = drawer(1);
  const now = Date.now();
  const batches = function* () {
    for (let at = 0; at < longTraceSpans; at += BATCH) yield Array.from({ length: Math.min(BATCH, longTraceSpans - at) }, (_, i) => nested(at + i, longTraceSpans, now - 600_000));
    for (let at = 0; at < count; at += BATCH) yield Array.from({ length: Math.min(BATCH, count - at) }, (_, i) => call(draw, at + i, now, days));
  };
  const work = batches();
  const append = async () => {
    for (const spans of work) await post(house, { spans });
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, append));
}

/** A full lake says when to come again. */
async function post(house, body) {
  for (;;) {
    const headers = { authorization: `Bearer ${house.key}`, "content-type": "application/json" };
    const answer = await fetch(`${house.url}/api/v1/traces`, { method: "POST", headers, body: JSON.stringify(body) });
    const text = await answer.text();
    if (answer.ok) return;
    if (answer.status !== 429 && answer.status !== 503) throw new Error(`${answer.status}: ${text}`);
    await new Promise((next) => setTimeout(next, 1000 * Number(answer.headers.get("retry-after") ?? 1)));
  }
}
