/** Where models are pulled from: one file comes as slowly as the test wants, all others are missing. */

import { createServer } from "node:http";

const NETWORK = `[net]\nallow = ["127.0.0.1"]\n`;
const CHUNK = Buffer.alloc(1 << 20);

/** Starts it on a free port. `send` lets so many MiB of `file` through; `left` tells whether the one who asked went away. */
export async function openHub({ file, size }) {
  let answer, gone = false;
  const server = createServer((request, response) => {
    if (!request.url.endsWith(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": size });
    response.flushHeaders();
    response.once("close", () => (gone = true));
    answer = response;
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    config: NETWORK,
    // The hub's own client and pip are told of another server by these.
    variables: { HF_ENDPOINT: url, PIP_INDEX_URL: `${url}/simple/`, PIP_CONFIG_FILE: "/dev/null" },
    asked: () => answer !== undefined,
    send: (mib) => { for (let sent = 0; sent < mib; sent += 1) answer.write(CHUNK); },
    left: () => gone,
    close: () => new Promise((closed) => { server.closeAllConnections(); server.close(closed); }),
  };
}
