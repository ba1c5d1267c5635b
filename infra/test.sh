#!/usr/bin/env bash
# Runs every test there is. `infra/test.sh aws` runs only those that need the LocalStack that `make localstack` left up.
#
# In CI (CI=true) a component that is missing is a failure. Elsewhere it is named and its tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
missing=()

step() { printf '\n== %s\n' "$*"; }

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

if [[ ${1:-} == aws ]]; then
  export RELAY_TEST_REQUIRED=1 RELAY_TEST_AWS_ENDPOINT=http://127.0.0.1:4566
  step "conformance, on DynamoDB Local and LocalStack's SQS and KMS"
  go test -count=1 -timeout 10m ./shared/dynamo ./shared/sqsqueue ./shared/awskms
  on_stack
  exit
fi

need "receivers in Python and JavaScript" infra/e2e/receivers/install.sh || true
need "Chromium and axe-core" infra/e2e/browser/install.sh || true
if need "LocalStack and SAM" infra/localstack/install.sh; then
  trap infra/localstack/stop.sh EXIT
  infra/localstack/start.sh
  export RELAY_TEST_AWS_ENDPOINT=http://127.0.0.1:4566
fi
if ((${#missing[@]} == 0)); then export RELAY_TEST_REQUIRED=1; fi

step "unit, conformance and end-to-end tests"
go test -count=1 -timeout 10m ./...

step "race detector"
env -u RELAY_TEST_AWS_ENDPOINT -u RELAY_TEST_REQUIRED make --no-print-directory test-race

step "fuzz, for some minutes in all"
infra/fuzz.sh 5s

if need "Schemathesis, Checkov, Redocly and makers of clients" infra/audit/install.sh; then
  step "openapi.yaml, and clients in other languages made from it"
  infra/audit/clients.sh
  step "made-up requests, good and bad, by openapi.yaml"
  infra/audit/api.sh
  step "the template's rules"
  infra/audit/template.sh
fi

step "lint"
make --no-print-directory lint

if [[ -n ${RELAY_TEST_AWS_ENDPOINT:-} ]]; then
  step "template"
  make --no-print-directory validate
  infra/localstack/deploy.sh
  on_stack
  on_versions
fi

if ((${#missing[@]})); then
  printf '\nNot tested, because it is missing here: %s\n' "${missing[*]}"
fi
