#!/usr/bin/env bash
# Holds template.yaml to Checkov's rules. What it is right not to follow is marked in the template, with the reason.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# It tries to fetch descriptions of its rules, and complains at length on stderr when it may not.
if ! .cache/audit/checkov/bin/checkov --file template.yaml --framework cloudformation --compact --quiet 2>"$log"; then
  tail -1 "$log" >&2
  exit 1
fi
