"""Starts LocalStack with this package's replacements in place."""

import os
from pathlib import Path

from localstack.runtime.main import main

from hostmode import dynamodb, executor, polling, versions

cache = Path(os.environ["HOSTMODE_CACHE"])

executor.install(log_folder=cache / "logs", endpoint_file=cache / "function-endpoint")
dynamodb.install(jar_folder=cache / "dynamodb")
polling.install()
versions.install()
main()
