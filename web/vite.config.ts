import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

// `npm run dev` serves the pages with a running server behind them: QUARTERDECK_URL, and QUARTERDECK_KEY to be signed in.
const server = process.env.QUARTERDECK_URL ?? "http://127.0.0.1:4100";
const key = process.env.QUARTERDECK_KEY;
const proxy = { target: server, changeOrigin: true, headers: key ? { authorization: `Bearer ${key}` } : undefined };

// With a key in the proxy nobody needs to sign in.
const signedIn: Plugin = {
  name: "signed-in-by-key",
  configureServer(vite) {
    if (!key) return;
    const answer = { account: null, key_id: "dev", role: "admin", scopes: ["admin"], project: "default", csrf_token: "", expires: "2100-01-01T00:00:00Z" };
    vite.middlewares.use("/api/v1/sign-in", (_request, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answer));
    });
  },
};

// The server sends files as they lie here, so they are compressed once, by the build.
const compressed: Plugin = {
  name: "compressed",
  writeBundle({ dir }) {
    const assets = join(dir ?? "dist", "assets");
    for (const name of readdirSync(assets)) writeFileSync(join(assets, `${name}.gz`), gzipSync(readFileSync(join(assets, name)), { level: 9 }));
  },
};

// What the first script asks for at once is fetched along with it, not after it.
const preloaded: Plugin = {
  name: "preloaded",
  transformIndexHtml: {
    order: "post",
    handler: (html, { bundle }) => {
      const chunks = Object.values(bundle ?? {}).filter((file) => file.type === "chunk");
      const files = new Set(chunks.filter((chunk) => chunk.name === "main").map((chunk) => chunk.fileName));
      // A set that grows is walked to its end: what imports import comes after them.
      for (const file of files) chunks.find((chunk) => chunk.fileName === file)?.imports.forEach((imported) => files.add(imported));
      const missing = [...files].filter((file) => !html.includes(file));
      return missing.map((file) => ({ tag: "link", attrs: { rel: "modulepreload", crossorigin: true, href: `/${file}` }, injectTo: "head" as const }));
    },
  },
};

// One file each for what the first script needs of libraries and for what many pages share: else every component is a file and a request.
// What is large and not on the first page is a file of its own, made after `shared` has taken what others need too.
const apart = [
  { name: "charts", test: /node_modules\/uplot\// },
  { name: "rows", test: /node_modules\/@tanstack\/(virtual-core|react-virtual)\// },
  { name: "numbers", test: /node_modules\/react-number-format\/|components\/NumberInput\// },
];
const groups = [
  { name: "queries", test: /openapi-fetch|@tanstack\/(query-core|react-query\/.*[qQ]ueryOptions)/, priority: 2 },
  { name: "shared", test: (id: string) => id.includes("node_modules") && !apart.some(({ test }) => test.test(id)), minShareCount: 3, priority: 1 },
  ...apart,
];

export default defineConfig({
  plugins: [react(), signedIn, compressed, preloaded],
  // Older targets make Vite rewrite light-dark() into what has no effect beside Mantine's own theme attribute.
  build: {
    target: "es2022", cssTarget: ["chrome123", "firefox120", "safari17.5"], sourcemap: false, chunkSizeWarningLimit: 900, assetsInlineLimit: 0,
    rolldownOptions: { output: { codeSplitting: { groups } } },
  },
  server: { port: Number(process.env.PORT ?? 5173), host: "127.0.0.1", proxy: { "/api": proxy, "/v1": proxy, "/openapi.json": proxy } },
});
