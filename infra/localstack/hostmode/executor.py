"""Runs Lambda functions as processes, in place of LocalStack's Docker executor.

LocalStack makes one executor per execution environment, and as many of those as invocations run at once; an executor
sees one invocation at a time.
"""

import json
import os
import time
from pathlib import Path

from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import ArchiveCode, FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import DockerRuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from hostmode.process import FunctionProcess
from hostmode.runtime_api import Exited, Idle, InitError, Invocation, Reply

_INIT_SECONDS = 10.0  # Lambda's limit
_HOST = "127.0.0.1"
# What a function sees of this machine; all else comes from LocalStack and the function's configuration.
_INHERITED = ("PATH", "HOME", "TMPDIR")


class ProcessExecutor(RuntimeExecutor):
    log_folder: Path
    # Where it exists, it holds the address by which functions started from then on reach AWS: a test's proxy. In it,
    # {function} stands for the function's name.
    endpoint_file: Path

    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id, function_version)
        self._env: dict[str, str] = {}
        self._process: FunctionProcess | None = None

    def start(self, env_vars: dict[str, str]) -> None:
        internal = ("LOCALSTACK_", "EDGE_PORT")
        self._env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        # LocalStack puts numbers among the values, whatever their declared type.
        self._env |= {name: str(value) for name, value in env_vars.items() if not name.startswith(internal)}
        self._env["LAMBDA_TASK_ROOT"] = str(_code(self.function_version).get_unzipped_code_location())
        if error := self._launch():
            raise StatusErrorException("init failed", payload=error)

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        started = time.time()
        timeout = self.function_version.config.timeout
        invocation = Invocation(
            request_id=payload["invoke-id"],
            function_arn=payload["invoked-function-arn"],
            trace_id=payload["trace-id"],
            payload=payload["payload"].encode(),
            deadline=started + timeout,
        )
        # After a timeout or a crash the environment stays, and its next invocation starts the process afresh.
        error = None if self._process and self._process.alive else self._launch()
        reply = Reply(invocation.request_id, error, is_error=True) if error else self._run(invocation, timeout)

        report = json.dumps(
            {
                "type": "platform.report",
                "record": {
                    "requestId": invocation.request_id,
                    "status": "error" if reply.is_error else "success",
                    "metrics": {"durationMs": round((time.time() - started) * 1000, 1)},
                },
            }
        )
        return InvocationResult(
            request_id=invocation.request_id,
            payload=reply.body,
            is_error=reply.is_error,
            logs=f"{self.get_logs()}{report}\n",
        )

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process = None

    def get_logs(self) -> str:
        return self._process.take_output() if self._process else ""

    def _launch(self) -> bytes | None:
        """Starts the process and waits until it polls for work. Returns the error Lambda would, if it does not."""
        self.stop()
        log_file = self.log_folder / f"{self.function_version.id.function_name}.log"
        env = self._env
        if self.endpoint_file.is_file():
            endpoint = self.endpoint_file.read_text().strip().replace("{function}", self.function_version.id.function_name)
            env = {**env, "AWS_ENDPOINT_URL": endpoint}
        process = FunctionProcess(Path(env["LAMBDA_TASK_ROOT"]), env, log_file)
        self._process = process
        match process.next_event(time.time() + _INIT_SECONDS):
            case Idle():
                return None
            case InitError(body):
                error = body
            case Exited(code):
                error = _error("Runtime.ExitError", f"Runtime exited with error: {_exit_text(code)}")
            case _:
                error = _error("Sandbox.Timedout", f"Init timed out after {_INIT_SECONDS:.2f} seconds")
        process.kill()
        return error

    def _run(self, invocation: Invocation, timeout: int) -> Reply:
        process, request_id = self._process, invocation.request_id
        assert process
        process.give(invocation)
        while event := process.next_event(invocation.deadline):
            match event:
                case Reply(replied_to) if replied_to == request_id:
                    process.settle()
                    return event
                case Exited(code):
                    text = f"RequestId: {request_id} Error: Runtime exited with error: {_exit_text(code)}"
                    return Reply(request_id, _error("Runtime.ExitError", text), is_error=True)
        process.kill()
        text = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
        return Reply(request_id, _error("Sandbox.Timedout", text), is_error=True)

    def get_address(self) -> str:
        return _HOST

    def get_endpoint_from_executor(self) -> str:
        return _HOST

    def get_runtime_endpoint(self) -> str:
        return ""  # for LocalStack's own init process, which is not used here

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        code = _code(function_version)
        code.prepare_for_execution()
        if not (code.get_unzipped_code_location() / "bootstrap").is_file():
            raise RuntimeError(f"no bootstrap in the package of {function_version.id.function_name}")

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        pass


def install(log_folder: Path, endpoint_file: Path) -> None:
    log_folder.mkdir(parents=True, exist_ok=True)
    ProcessExecutor.log_folder = log_folder
    ProcessExecutor.endpoint_file = endpoint_file
    # The only executor LocalStack knows is this plugin's, so its plugin loads ours.
    DockerRuntimeExecutorPlugin.load = lambda *_: ProcessExecutor  # type: ignore[method-assign]


def _code(function_version: FunctionVersion) -> ArchiveCode:
    code = function_version.config.code
    assert code, "functions come as zip packages, not as images"
    return code


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _exit_text(code: int) -> str:
    return f"signal: {-code}" if code < 0 else f"exit status {code}"
