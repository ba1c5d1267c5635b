#!/usr/bin/env bash
# Starts LocalStack in the background on 127.0.0.1:4566 and waits until it is healthy. Every start is a blank one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

start_seconds=90

if pid=$(running_pid); then
  healthy || die "process $pid runs but does not answer: see ${log#"$root/"}, or run stop.sh"
  echo "localstack: already running (pid $pid)"
  exit
fi
[[ -x $cache/venv/bin/python ]] || die "not installed: run infra/localstack/install.sh first"
port_taken && die "port $port is in use by something else; LocalStack needs it"

rm -rf "$cache/state" "$cache/tmp" "$cache/logs" "$cache/stack.env" "$endpoint_file"
mkdir -p "$cache/state" "$cache/tmp" "$cache/logs"

# A clean environment: what the caller has set for real AWS must not reach LocalStack or the functions.
# setsid gives it a process group of its own, which stop.sh can end as a whole.
(cd "$here" && exec setsid env -i \
  PATH="$PATH" HOME="$HOME" LANG=C.UTF-8 TMPDIR="$cache/tmp" \
  PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
  HOSTMODE_CACHE="$cache" \
  FILESYSTEM_ROOT="$cache/state" \
  GATEWAY_LISTEN="127.0.0.1:$port" \
  LOCALSTACK_HOST="127.0.0.1:$port" \
  SQS_ENDPOINT_STRATEGY=path \
  DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 DNS_ADDRESS=0 \
  DYNAMODB_IN_MEMORY=1 \
  LAMBDA_SYNCHRONOUS_CREATE=1 \
  LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC=0.1 \
  LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC=0.5 \
  LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_ERROR_SEC=5 \
  "$cache/venv/bin/python" -m hostmode) </dev/null >"$log" 2>&1 &
echo $! >"$pidfile"

for ((i = 0; i < start_seconds * 4; i++)); do
  if healthy; then
    echo "localstack: $endpoint (pid $(cat "$pidfile"))"
    exit
  fi
  kill -0 "$(cat "$pidfile")" 2>/dev/null || {
    tail -n 20 "$log" >&2
    die "it ended while starting; the log is ${log#"$root/"}"
  }
  sleep 0.25
done
"$here/stop.sh"
die "not healthy after $start_seconds s; the log is ${log#"$root/"}"
