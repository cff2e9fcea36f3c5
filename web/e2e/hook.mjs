/** A webhook that checks what it is sent as Standard Webhooks has it, with Node's own HMAC. */

import { createHmac } from "node:crypto";
import { createServer } from "node:http";

/** Starts it on a free port. `got` holds the bodies; `trust` says by which secret they are signed. */
export async function openHook() {
  const got = [];
  let secret = "";
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature } = request.headers;
      const signed = createHmac("sha256", Buffer.from(secret.replace("whsec_", ""), "base64")).update(`${id}.${at}.${body}`).digest("base64");
      const sound = signature === `v1,${signed}` && Math.abs(Date.now() / 1000 - Number(at)) < 300;
      if (sound) got.push({ id, ...JSON.parse(body) });
      response.writeHead(sound ? 204 : 401).end();
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    got,
    url: `http://127.0.0.1:${server.address().port}/hook`,
    trust: (known) => (secret = known),
    close: () => new Promise((closed) => { server.closeAllConnections(); server.close(closed); }),
  };
}
