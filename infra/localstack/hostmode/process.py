"""One `bootstrap` process with its Runtime API and its output."""

import threading
import time
from pathlib import Path
from queue import Empty, Queue

from hostmode import spawn
from hostmode.runtime_api import Event, Exited, Idle, Invocation, RuntimeApi

# How long a process may take from its reply to its next poll: what it writes until then belongs to this invocation.
_SETTLE_SECONDS = 1.0


class FunctionProcess:
    def __init__(self, code: Path, env: dict[str, str], log_file: Path) -> None:
        self._events: Queue[Event] = Queue()
        self._api = RuntimeApi(self._events)
        self._log_file = log_file
        self._output: list[str] = []
        self._output_lock = threading.Lock()
        self._process = spawn.start(
            [str(code / "bootstrap")], code, {**env, "AWS_LAMBDA_RUNTIME_API": self._api.address}
        )
        self._follower = threading.Thread(target=self._follow, name="hostmode-output", daemon=True)
        self._follower.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def next_event(self, deadline: float) -> Event | None:
        """The next thing the process says or does, or None when the deadline has passed."""
        try:
            return self._events.get(timeout=max(0.0, deadline - time.time()))
        except Empty:
            return None

    def give(self, invocation: Invocation) -> None:
        self._api.give(invocation)

    def settle(self) -> None:
        """Waits until the process is idle again, or gone: a panic is reported first and exits after."""
        deadline = time.time() + _SETTLE_SECONDS
        while event := self.next_event(deadline):
            if isinstance(event, Idle | Exited):
                return

    def take_output(self) -> str:
        """What was written to stdout and stderr since the last call."""
        with self._output_lock:
            taken, self._output = "".join(self._output), []
        return taken

    def kill(self) -> None:
        self._process.kill()
        self._follower.join(timeout=1)  # the last lines
        self._api.close()

    def _follow(self) -> None:
        assert self._process.stdout
        with self._log_file.open("a", encoding="utf-8") as file:
            for raw in self._process.stdout:
                line = raw.decode("utf-8", errors="replace")
                with self._output_lock:
                    self._output.append(line)
                file.write(line)
                file.flush()
        self._events.put(Exited(self._process.wait()))
