"""Lets an SQS event source mapping work on several batches at once.

LocalStack polls the next batch only when the last one is done. On AWS a mapping starts with five concurrent batches,
so one slow endpoint delays nobody else, and the functions must bear running beside themselves.
"""

import logging
import threading
from typing import Any

from localstack.services.lambda_.event_source_mapping.pollers.sqs_poller import SqsPoller

CONCURRENT_BATCHES = 5

LOG = logging.getLogger(__name__)


def install() -> None:
    poll_one = SqsPoller.poll_events
    handle = SqsPoller.handle_messages

    def slots(poller: SqsPoller) -> threading.Semaphore:
        return poller.__dict__.setdefault("hostmode_slots", threading.Semaphore(CONCURRENT_BATCHES))

    def poll_events(self: SqsPoller) -> None:
        # Wait for a free slot before receiving: a received message counts a receive and its visibility runs.
        # One thread polls for a mapping, so nobody takes the slot in between.
        with slots(self):
            pass
        poll_one(self)

    def handle_messages(self: SqsPoller, messages: list[dict[str, Any]]) -> None:
        slots(self).acquire()

        def work() -> None:
            try:
                handle(self, messages)
            except Exception as e:
                # As on AWS: the batch comes back when its visibility timeout is over.
                LOG.warning("batch of %d messages failed: %s", len(messages), e)
            finally:
                slots(self).release()

        threading.Thread(target=work, name="esm-batch", daemon=True).start()

    SqsPoller.poll_events = poll_events  # type: ignore[method-assign]
    SqsPoller.handle_messages = handle_messages  # type: ignore[method-assign]
