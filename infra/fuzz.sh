#!/usr/bin/env bash
# Fuzzes each target for the given time. Go runs one target of one package at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:-10s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz() { # fuzz <target> <package>
  go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" "$2" | tee "$log"
}

grep -rl --include='*_test.go' '^func Fuzz' shared | while read -r file; do
  sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' "$file" | while read -r target; do
    package=./$(dirname "$file")
    for _ in 1 2 3 4; do
      if fuzz "$target" "$package"; then continue 2; fi
      # A busy machine may not notice in time that the time is up, which Go reports as a failure without an input.
      if grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; then exit 1; fi
    done
    exit 1
  done
done
