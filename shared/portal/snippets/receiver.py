import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))  # the raw bytes
        try:
            webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_error(400, "bad signature")
            return
        handle(self.headers["webhook-id"], body)
        self.send_response(204)
        self.end_headers()


def handle(event_id, event):
    """Must be quick: queue the event and work later.

    The same id may come again; ignore those that you have had.
    """
    print(event_id, event.decode(), flush=True)


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
