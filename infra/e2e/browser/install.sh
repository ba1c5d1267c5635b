#!/usr/bin/env bash
# Installs what the portal's tests need: Chromium by apt where there is none, and axe-core under .cache/e2e/axe.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(cd "$here/../../.." && pwd)/.cache/e2e

if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
  root=()
  if ((EUID)); then root=(sudo); fi
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi

if [[ ! -f $cache/axe/.stamp || $(cat "$cache/axe/.stamp") != "$(cksum <"$here/package-lock.json")" ]]; then
  rm -rf "$cache/axe"
  mkdir -p "$cache/axe"
  cp "$here/package.json" "$here/package-lock.json" "$cache/axe/"
  (cd "$cache/axe" && npm ci --silent --ignore-scripts --no-audit --no-fund)
  cksum <"$here/package-lock.json" >"$cache/axe/.stamp"
fi
