#!/usr/bin/env bash
# Runs every test there is. `infra/test.sh aws` runs only those that need the LocalStack that `make localstack` left up.
#
# In CI (CI=true) a component that is missing is a failure. Elsewhere it is named and its tests are skipped.
#
# Half of the time goes to tests that wait, for retries and for the stack, and half to what computes. So the two halves
# run side by side, and the second gives way to the first; its output comes at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
missing=()

step() { printf '\n== %s (after %d:%02d)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

# need NAME COMMAND… installs a component, or notes that it is missing.
need() {
  local name=$1
  shift
  step "install: $name"
  if "$@"; then return 0; fi
  if [[ ${CI:-} == true ]]; then
    echo "test: $name could not be installed, and CI skips nothing" >&2
    exit 1
  fi
  missing+=("$name")
  return 1
}

# on_stack runs the end-to-end suite on the stack deployed to LocalStack, and then does that harm.
on_stack() {
  (
    set -a
    # shellcheck source=/dev/null
    source .cache/localstack/stack.env
    step "end to end, on the deployed stack"
    go test -count=1 -timeout 20m -skip '^TestStack' ./infra/e2e
    step "the deployed stack under faults"
    go test -count=1 -timeout 20m -run '^TestStack' -v ./infra/e2e
  )
}

# on_versions repeats, on a stack whose functions are invoked by versions, the test that updates it under traffic.
on_versions() {
  infra/localstack/stop.sh
  infra/localstack/start.sh
  RELAY_PARAMETERS=Rollout=AllAtOnce infra/localstack/deploy.sh
  (
    set -a
    # shellcheck source=/dev/null
    source .cache/localstack/stack.env
    step "new versions of the functions, under traffic"
    go test -count=1 -timeout 10m -run '^TestStackLosesNothingWhenItIsUpdatedUnderTraffic$' -v ./infra/e2e
  )
}

# What computes. RELAY_TEST_PARTS names the components that are there.
if [[ ${1:-} == computing ]]; then
  # Where Linux shares the processors out by session, it is the session that has to give way.
  { echo 10 >/proc/$$/autogroup; } 2>/dev/null || true
  if [[ $RELAY_TEST_PARTS == *localstack* ]]; then
    step "conformance and lists at size, on DynamoDB Local"
    infra/localstack/dynamodb.sh go test -count=1 -timeout 10m ./shared/dynamo ./infra/paging
  fi
  # Without an AWS, and so without failing for want of one.
  unset RELAY_TEST_REQUIRED
  step "lint"
  make --no-print-directory lint
  step "unit tests, under the race detector"
  make --no-print-directory test-race
  if [[ $RELAY_TEST_PARTS == *audit* ]]; then
    step "openapi.yaml, and clients in other languages made from it"
    infra/audit/clients.sh
    step "made-up requests, good and bad, by openapi.yaml"
    infra/audit/api.sh
    step "the template's rules"
    infra/audit/template.sh
  fi
  step "fuzz, for some minutes in all"
  infra/fuzz.sh 5s
  step "done"
  exit
fi

if [[ ${1:-} == aws ]]; then
  export RELAY_TEST_REQUIRED=1 RELAY_TEST_AWS_ENDPOINT=http://127.0.0.1:4566
  step "conformance, on DynamoDB Local and LocalStack's SQS and KMS"
  go test -count=1 -timeout 10m ./shared/dynamo ./shared/sqsqueue ./shared/awskms
  on_stack
  exit
fi

RELAY_TEST_PARTS=
need "receivers in Python and JavaScript" infra/e2e/receivers/install.sh || true
need "Chromium and axe-core" infra/e2e/browser/install.sh || true
if need "LocalStack and SAM" infra/localstack/install.sh; then RELAY_TEST_PARTS+=" localstack"; fi
if need "Schemathesis, Checkov, Redocly and makers of clients" infra/audit/install.sh; then RELAY_TEST_PARTS+=" audit"; fi
export RELAY_TEST_PARTS
if ((${#missing[@]} == 0)); then export RELAY_TEST_REQUIRED=1; fi

log=$(mktemp)
# In a session of its own, where there is setsid, so that it can be ended as a whole.
nice -n 10 $(command -v setsid) infra/test.sh computing >"$log" 2>&1 </dev/null &
computing=$!
finish() {
  if [[ -n $computing ]]; then kill -- "-$computing" 2>/dev/null || kill "$computing" 2>/dev/null || true; fi
  if [[ $RELAY_TEST_PARTS == *localstack* ]]; then infra/localstack/stop.sh; fi
  rm -f "$log"
}
trap finish EXIT

packages=$(go list ./functions/... ./infra/... | grep -v -e /infra/paging$ -e /infra/check$)
if [[ $RELAY_TEST_PARTS == *localstack* ]]; then
  infra/localstack/start.sh
  export RELAY_TEST_AWS_ENDPOINT=http://127.0.0.1:4566
  packages+=" ./shared/sqsqueue ./shared/awskms"
fi
step "end-to-end and other tests, SQS and KMS"
# shellcheck disable=SC2086
go test -count=1 -timeout 10m $packages
if [[ $RELAY_TEST_PARTS == *localstack* ]]; then
  step "template"
  make --no-print-directory validate
  infra/localstack/deploy.sh
  on_stack
  on_versions
fi

step "what was computed beside all that"
status=0
wait "$computing" || status=$?
computing=
cat "$log"
if ((status)); then
  echo "test: failed, see what was computed" >&2
  exit "$status"
fi

if ((${#missing[@]})); then
  printf '\nNot tested, because it is missing here: %s\n' "${missing[*]}"
fi
step "all passed"
