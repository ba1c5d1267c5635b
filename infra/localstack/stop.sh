#!/usr/bin/env bash
# Stops LocalStack and everything it started: politely first, then by process group.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pid=$(running_pid) || {
  rm -f "$pidfile" "$cache/stack.env"
  echo "localstack: not running"
  exit
}
kill -TERM "$pid"
for ((i = 0; i < 40; i++)); do
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.25
done
# LocalStack waits for busy threads; functions and DynamoDB Local die with it (see hostmode/spawn.py).
kill -KILL -- "-$pid" 2>/dev/null || true
rm -f "$pidfile" "$cache/stack.env" # the stack is gone
echo "localstack: stopped"
