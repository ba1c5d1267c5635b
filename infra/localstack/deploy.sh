#!/usr/bin/env bash
# Builds the functions and deploys the root template into the running LocalStack, then prints the API's base URL.
# RELAY_ADMIN_KEY is the admin key of the stack; without it one is made up. RELAY_PARAMETERS are more parameters, such as
# "MemorySize=512". What tests need goes to .cache/localstack/stack.env.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ -x $sam_bin/sam ]] || die "not installed: run infra/localstack/install.sh first"
healthy || die "not running: run infra/localstack/start.sh first"

case $(uname -m) in
  aarch64 | arm64) architecture=arm64 ;;
  *) architecture=x86_64 ;;
esac
key=${RELAY_ADMIN_KEY:-$("$sam_bin/python" -c 'import secrets; print(secrets.token_urlsafe(32))')}
key_sha256=$(printf %s "$key" | sha256sum | cut -d ' ' -f 1)

# Dummy credentials, and nothing of the caller's: this must never reach a real account.
unset AWS_PROFILE AWS_SESSION_TOKEN
export AWS_ENDPOINT_URL=$endpoint AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export SAM_CLI_TELEMETRY=0

# Static binaries, because the runtime's C library may be older than the builder's. Go splits GOFLAGS at spaces, so the
# value with a space is quoted inside.
export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath -tags=lambda.norpc '-ldflags=-s -w'"

cd "$root"
# Given on the command line, overrides replace those of samconfig.toml, so both go in.
configured=$("$sam_bin/python" -c '
import tomllib
print(tomllib.load(open("samconfig.toml", "rb"))["localstack"]["deploy"]["parameters"]["parameter_overrides"])')
overrides="$configured Architecture=$architecture AdminKeySha256=$key_sha256 ${RELAY_PARAMETERS:-}"

"$sam_bin/sam" build --config-env localstack --parameter-overrides "$overrides"
go run ./infra/stamp .cache/localstack/build/template.yaml
"$sam_bin/sam" deploy --config-env localstack --parameter-overrides "$overrides"
RELAY_ADMIN_KEY=$key "$sam_bin/python" "$here/stack_env.py" webhook-relay-local "$endpoint_file" >"$cache/stack.env"

sed -n 's/^RELAY_E2E_URL=//p' "$cache/stack.env"
