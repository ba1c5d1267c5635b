#!/usr/bin/env bash
# Lets Schemathesis make up requests from openapi.yaml, good and bad, and send them to a relay on this machine, for the
# given number of seconds. No answer may be a 5xx or one that openapi.yaml does not describe.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
seconds=${1:-40}
work=$(mktemp -d)
relay=
trap '[[ -z $relay ]] || kill "$relay"; rm -rf "$work"' EXIT

go build -o "$work/relay" ./infra/cmd/relay
key=$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')
RELAY_ADMIN_KEY=$key "$work/relay" dev --listen 127.0.0.1:0 --data "$work/relay.db" --log-level error >"$work/out" &
relay=$!
for _ in $(seq 100); do
  url=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$work/out" | head -1 || true)
  [[ -n $url ]] && break
  sleep 0.1
done
[[ -n $url ]] || {
  echo "audit: the relay did not start" >&2
  exit 1
}

# Not checked is that every request which the schema allows is accepted: it cannot say which hosts are public, say. Nor
# that an answer of 404 to a made-up id is expected. A batch is a list of anything, at which the generator of Schemathesis
# stumbles; its tests are in infra/e2e.
tool=$PWD/.cache/audit/schemathesis/bin/schemathesis
cd "$work" # it leaves a folder where it runs
"$tool" run "$url/openapi.yaml" --header "Authorization: Bearer $key" \
  --workers 2 --max-time "$seconds" --seed 1 --warnings off --generation-database none \
  --exclude-operation-id postEvents --checks all --exclude-checks positive_data_acceptance
