import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks); // the raw bytes
  try {
    webhook.verify(body, request.headers);
  } catch {
    response.writeHead(400).end("bad signature");
    return;
  }
  handle(request.headers["webhook-id"], body);
  response.writeHead(204).end();
}).listen(process.env.PORT, "127.0.0.1");

// Must be quick: queue the event and work later. The same id may come again;
// ignore those that you have had.
function handle(id, event) {
  console.log(id, event.toString());
}
