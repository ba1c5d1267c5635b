#!/usr/bin/env bash
# Lints openapi.yaml with Redocly, has a TypeScript and a Python client made from it, and lets a program with each of them
# use a relay on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source infra/audit/relay.sh
node=$PWD/.cache/audit/node/node_modules
python=$PWD/.cache/audit/openapi-python-client/bin
document=$PWD/shared/api/openapi.yaml

REDOCLY_TELEMETRY=off "$node/.bin/redocly" lint --extends=recommended --max-problems=20 "$document"

cp infra/audit/clients/* "$work/"
ln -s "$node" "$work/node_modules"
echo '{"type": "module"}' >"$work/package.json"
"$node/.bin/openapi-typescript" "$document" --output "$work/relay.d.ts"
"$node/.bin/tsc" --project "$work"

PATH=$python:$PATH openapi-python-client generate --path "$document" --meta none --output-path "$work/relay_client" |
  tee "$work/made"
# The document itself and the export are the answers that are no JSON.
if grep 'WARNING parsing' "$work/made" | grep -v -e 'GET /openapi.yaml' -e '{tenant}/export'; then
  echo "audit: the Python client lacks what is named above" >&2
  exit 1
fi

start_relay
export RELAY_URL=$url RELAY_API_KEY=$key
node "$work/built/orders.js"
"$python/python" "$work/orders.py"
