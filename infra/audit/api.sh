#!/usr/bin/env bash
# Lets Schemathesis make up requests from openapi.yaml, good and bad, and send them to a relay on this machine, for the
# given number of seconds. No answer may be a 5xx or one that openapi.yaml does not describe.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-40}
source infra/audit/relay.sh
start_relay

# Not checked is that every request which the schema allows is accepted: it cannot say which hosts are public, say. Nor
# that an answer of 404 to a made-up id is expected. A batch is a list of anything, at which the generator of Schemathesis
# stumbles; its tests are in infra/e2e. One worker, because two threads that compile at once trip over each other in
# Python 3.11 ("AST constructor recursion depth mismatch").
tool=$PWD/.cache/audit/schemathesis/bin/schemathesis
cd "$work" # it leaves a folder where it runs
"$tool" run "$url/openapi.yaml" --header "Authorization: Bearer $key" \
  --workers 1 --max-time "$seconds" --seed 1 --warnings off --generation-database none \
  --exclude-operation-id postEvents --checks all --exclude-checks positive_data_acceptance
