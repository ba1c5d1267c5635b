// Uses the client that is made from openapi.yaml: a shop announces an order, its receiver gets it, the shop looks it up.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./relay.js";

const { RELAY_URL: baseUrl, RELAY_API_KEY: key } = process.env;
const relay = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const path = { tenant: "typescript" };

// must returns what the relay answered, or says why it did not.
function must<T>({ data, error }: { data?: T; error?: components["schemas"]["Problem"] }): T {
  if (data === undefined) throw new Error(error?.detail ?? "no answer");
  return data;
}

const receiver = createServer((request, response) => request.resume().on("end", () => response.end()));
await once(receiver.listen(0, "127.0.0.1"), "listening");
const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;

must(await relay.PUT("/v1/tenants/{tenant}", { params: { path }, body: { name: "A shop" } }));
const endpoint = must(
  await relay.POST("/v1/tenants/{tenant}/endpoints", { params: { path }, body: { url, event_types: ["order.*"] } }),
);
const arrival = once(receiver, "request");
const accepted = must(
  await relay.POST("/v1/tenants/{tenant}/events", { params: { path }, body: { type: "order.placed", data: { total: "19.90" } } }),
);
const [request] = await arrival;
assert.equal(request.headers["webhook-id"], accepted.id);

const event = must(await relay.GET("/v1/tenants/{tenant}/events/{event}", { params: { path: { ...path, event: accepted.id } } }));
assert.equal(event.deliveries[0]?.endpoint_id, endpoint.id);

must(await relay.POST("/v1/tenants/{tenant}/events", { params: { path }, body: { type: "order.paid", data: null } }));
const types: string[] = [];
for (let cursor: string | null | undefined; cursor !== null; ) {
  const page = must(await relay.GET("/v1/tenants/{tenant}/events", { params: { path, query: { limit: 1, cursor } } }));
  types.push(...page.data.map((e) => e.type));
  cursor = page.next_cursor;
}
assert.deepEqual(types, ["order.paid", "order.placed"]);

const refused = await relay.POST("/v1/tenants/{tenant}/events", { params: { path }, body: { type: "not a type", data: null } });
assert.equal(refused.response.status, 400);
assert.match(refused.error?.detail ?? "", /type/);

receiver.closeAllConnections();
receiver.close();
console.log("TypeScript: the order arrived and was looked up");
