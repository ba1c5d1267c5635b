"""Uses the client that is made from openapi.yaml: a shop announces an order, its receiver gets it, the shop looks it up."""

import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from relay_client import AuthenticatedClient
from relay_client.api.endpoints import create_endpoint
from relay_client.api.events import get_event, list_events, post_event
from relay_client.api.tenants import put_tenant
from relay_client.models import CreateEndpointBody, PostEventBody, Problem, PutTenantBody

TENANT = "python"
arrivals: queue.Queue[str] = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        arrivals.put(self.headers["webhook-id"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


def must(answer):
    """Returns what the relay answered, unless it is a problem."""
    if answer is None or isinstance(answer, Problem):
        raise SystemExit(f"the relay answered {answer}")
    return answer


receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
relay = AuthenticatedClient(base_url=os.environ["RELAY_URL"], token=os.environ["RELAY_API_KEY"])

must(put_tenant.sync(TENANT, client=relay, body=PutTenantBody(name="A shop")))
url = f"http://127.0.0.1:{receiver.server_port}/"
endpoint = must(create_endpoint.sync(TENANT, client=relay, body=CreateEndpointBody(url=url, event_types=["order.*"])))
accepted = must(post_event.sync(TENANT, client=relay, body=PostEventBody(type_="order.placed", data={"total": "19.90"})))
arrived = arrivals.get(timeout=30)
assert arrived == accepted.id, arrived

event = must(get_event.sync(TENANT, accepted.id, client=relay))
assert [d.endpoint_id for d in event.deliveries] == [endpoint.id], event

must(post_event.sync(TENANT, client=relay, body=PostEventBody(type_="order.paid", data=None)))
types, more = [], {}
while more is not None:
    page = must(list_events.sync(TENANT, client=relay, limit=1, **more))
    types += [e.type_ for e in page.data]
    more = {"cursor": page.next_cursor} if page.next_cursor else None
assert types == ["order.paid", "order.placed"], types

refused = post_event.sync_detailed(TENANT, client=relay, body=PostEventBody(type_="not a type", data=None))
assert refused.status_code == 400 and "type" in refused.parsed.detail, refused

receiver.shutdown()
print("Python: the order arrived and was looked up")
