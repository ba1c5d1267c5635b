#!/usr/bin/env bash
# Runs a command with a blank DynamoDB Local of its own on 127.0.0.1:4568, which RELAY_TEST_AWS_ENDPOINT then names, and ends
# that afterwards. The conformance tests take a quarter of the time that they take through LocalStack, which does no more
# than to pass their requests on to DynamoDB Local.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
port=4568

[[ -d $cache/dynamodb ]] || die "not installed: run infra/localstack/install.sh first"
port_taken && die "port $port is in use by something else; DynamoDB Local needs it"

java -Xmx256m -Djava.library.path="$cache/dynamodb" -cp "$cache/dynamodb/*" \
  com.amazonaws.services.dynamodbv2.local.main.ServerRunner -inMemory -disableTelemetry -port "$port" >"$cache/dynamodb.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null && wait "$server" || true' EXIT
for ((i = 0; i < 120; i++)); do
  if port_taken; then
    RELAY_TEST_AWS_ENDPOINT=http://127.0.0.1:$port "$@"
    exit
  fi
  kill -0 "$server" 2>/dev/null || die "DynamoDB Local ended while starting: see ${cache#"$root/"}/dynamodb.log"
  sleep 0.25
done
die "DynamoDB Local does not answer on port $port"
