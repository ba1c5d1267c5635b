#!/usr/bin/env bash
# Installs, under .cache/audit/, what looks for faults in the API and in the template: Schemathesis and Checkov, an
# environment each. Each carries a stamp with the hash of its pins, so a second run does nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(cd "$here/../.." && pwd)/.cache/audit

command -v python3 >/dev/null || {
  echo "audit: python3 is missing: Schemathesis and Checkov run on 3.11 or newer" >&2
  exit 1
}
for tool in schemathesis checkov; do
  pins=$here/$tool.txt
  [[ -f $cache/$tool/.stamp && $(cat "$cache/$tool/.stamp") == "$(cksum <"$pins")" ]] && continue
  echo "installing $tool into .cache/audit/$tool"
  rm -rf "${cache:?}/$tool"
  python3 -m venv "$cache/$tool"
  "$cache/$tool/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$pins"
  cksum <"$pins" >"$cache/$tool/.stamp"
done
