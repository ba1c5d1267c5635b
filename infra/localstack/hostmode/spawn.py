"""Starting child processes that cannot outlive LocalStack."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Linux kills a child with a death signal when the *thread* that started it ends, and LocalStack's threads come and go.
# So one thread, which lives as long as LocalStack does, starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hostmode-spawn")


def dying_with_parent(command: list[str]) -> list[str]:
    """The command, wrapped so that the kernel kills it when its parent is gone, even by SIGKILL."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command


def start(command: list[str], folder: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts a process with exactly this environment, its stdout and stderr as one pipe."""
    return _starter.submit(
        subprocess.Popen,
        dying_with_parent(command),
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).result()
