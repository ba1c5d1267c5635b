#!/usr/bin/env bash
# Installs what the Python and Node receivers need under .cache/e2e/: the official verifiers, and GitHub's webhook examples.
# Each part carries a stamp with the hash of its pins, so a second run does nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(cd "$here/../../.." && pwd)/.cache/e2e

fresh() { # fresh <folder> <pins file>
  [[ -f $1/.stamp && $(cat "$1/.stamp") == "$(cksum <"$2")" ]]
}

stamp() {
  cksum <"$2" >"$1/.stamp"
}

need() {
  command -v "$1" >/dev/null || {
    echo "e2e: $1 is missing: $2" >&2
    exit 1
  }
}

if ! fresh "$cache/python" "$here/requirements.txt"; then
  need python3 "the Python receiver runs on 3.9 or newer"
  rm -rf "$cache/python"
  python3 -m venv "$cache/python"
  "$cache/python/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  stamp "$cache/python" "$here/requirements.txt"
fi

if ! fresh "$cache/node" "$here/package-lock.json"; then
  need node "the JavaScript receiver runs on 20 or newer"
  need npm "it fetches what the JavaScript receiver needs"
  rm -rf "$cache/node"
  mkdir -p "$cache/node"
  cp "$here/package.json" "$here/package-lock.json" "$cache/node/"
  (cd "$cache/node" && npm ci --silent --ignore-scripts --no-audit --no-fund)
  stamp "$cache/node" "$here/package-lock.json"
fi
