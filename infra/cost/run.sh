#!/usr/bin/env bash
# Counts what EVENTS events (1,000 by default) of each kind ask of AWS, on a LocalStack of its own, and stores the bill.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

infra/localstack/install.sh
trap infra/localstack/stop.sh EXIT
infra/localstack/start.sh
RELAY_BENCH_AWS_ENDPOINT=http://127.0.0.1:4566 go run ./infra/bench -only cost -events "${EVENTS:-1000}" -out infra/cost/results
