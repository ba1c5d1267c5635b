// A receiver that verifies webhooks with the official JavaScript library.
//
// Prints {"port": N}, then serves on 127.0.0.1 until stdin closes:
//
// POST /secrets/<name>   takes the hook's secret, as text
// POST /hook/<name>      verifies a webhook: 200, or 400 with what is wrong
// GET  /received/<name>  what the hook got: [{id, sha256, verified, error}]
//
// The argument is the folder with package.json and node_modules.

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const require = createRequire(join(resolve(process.argv[2]), "package.json"));
const { Webhook } = require("standardwebhooks");

const hooks = new Map();
const received = new Map();

function verify(name, body, headers) {
  try {
    hooks.get(name).verify(body, headers);
  } catch (error) {
    return String(error);
  }
  return "";
}

function handle(method, path, body, headers) {
  const [, kind, name] = path.split("/");
  switch (`${method} ${kind}`) {
    case "POST secrets":
      hooks.set(name, new Webhook(body.toString()));
      received.set(name, []);
      return [200, {}];
    case "POST hook": {
      const error = verify(name, body, headers);
      const sha256 = createHash("sha256").update(body).digest("hex");
      const record = { id: headers["webhook-id"], sha256, verified: !error, error };
      received.get(name).push(record);
      return [error ? 400 : 200, record];
    }
    case "GET received":
      return [200, received.get(name) ?? []];
    default:
      return [404, {}];
  }
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const [status, value] = handle(request.method, request.url, Buffer.concat(chunks), request.headers);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(value));
  });
});

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.resume();
process.stdin.on("close", () => process.exit());
