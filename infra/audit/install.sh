#!/usr/bin/env bash
# Installs, under .cache/audit/, what looks at the API and the template from outside: Schemathesis, Checkov and
# openapi-python-client, an environment each, and Redocly and openapi-typescript for Node. Each carries a stamp with the hash of
# its pins, so a second run does nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(cd "$here/../.." && pwd)/.cache/audit

fresh() { # fresh <folder> <pins file>
  [[ -f $1/.stamp && $(cat "$1/.stamp") == "$(cksum <"$2")" ]]
}

need() {
  command -v "$1" >/dev/null || {
    echo "audit: $1 is missing: $2" >&2
    exit 1
  }
}

need python3 "Schemathesis, Checkov and openapi-python-client run on 3.11 or newer"
for tool in schemathesis checkov openapi-python-client; do
  pins=$here/$tool.txt
  fresh "$cache/$tool" "$pins" && continue
  echo "installing $tool into .cache/audit/$tool"
  rm -rf "${cache:?}/$tool"
  python3 -m venv "$cache/$tool"
  "$cache/$tool/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$pins"
  cksum <"$pins" >"$cache/$tool/.stamp"
done

if ! fresh "$cache/node" "$here/package-lock.json"; then
  need node "Redocly and openapi-typescript run on 20 or newer"
  need npm "it fetches them"
  echo "installing Redocly and openapi-typescript into .cache/audit/node"
  rm -rf "$cache/node"
  mkdir -p "$cache/node"
  cp "$here/package.json" "$here/package-lock.json" "$cache/node/"
  (cd "$cache/node" && npm ci --silent --ignore-scripts --no-audit --no-fund)
  cksum <"$here/package-lock.json" >"$cache/node/.stamp"
fi
