#!/usr/bin/env bash
# Installs what the local stack needs under .cache/: LocalStack and SAM in an environment each, and DynamoDB Local.
# Each part carries a stamp with the hash of its pins, so a second run does nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

uv_version=0.13.9

# A pyenv shim answers to the name python3.13 without being one, so every candidate is run.
find_python() {
  local candidate
  for candidate in "${RELAY_PYTHON:-}" python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13; do
    [[ -n $candidate ]] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "Python 3.13 is missing (LocalStack 4.14.0 runs on no older one). Install it, or set RELAY_PYTHON to its path."
}

fresh() { # fresh <folder> <pins file>
  [[ -f $1/.stamp && $(cat "$1/.stamp") == "$(cksum <"$2")" ]]
}

stamp() {
  cksum <"$2" >"$1/.stamp"
}

install_venv() { # install_venv <folder> <requirements>
  fresh "$1" "$2" && return
  local python uv=$root/.cache/uv/bin/uv
  python=$(find_python)
  if [[ ! -x $uv ]]; then
    "$python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
      --target "$root/.cache/uv" "uv==$uv_version"
  fi
  echo "installing $(basename "$2") into ${1#"$root/"}"
  "$uv" venv --quiet --clear --python "$python" "$1"
  # Compiled here, once: without it every start would compile LocalStack again.
  "$uv" pip install --quiet --compile-bytecode --python "$1/bin/python" --requirement "$2"
  stamp "$1" "$2"
}

install_dynamodb() {
  local target=$cache/dynamodb pom=$here/pom.xml
  fresh "$target" "$pom" && return
  command -v mvn >/dev/null || die "Maven (mvn) is missing: it fetches DynamoDB Local."
  echo "installing DynamoDB Local into ${target#"$root/"}"
  rm -rf "$target"
  mkdir -p "$target"
  mvn --quiet --batch-mode -Dstyle.color=never --file "$pom" dependency:copy-dependencies "-DoutputDirectory=$target"
  stamp "$target" "$pom"
}

command -v java >/dev/null || die "Java (17 or newer) is missing: DynamoDB Local needs it."
command -v curl >/dev/null || die "curl is missing: the scripts ask LocalStack for its health with it."
mkdir -p "$cache"
install_venv "$cache/venv" "$here/requirements.txt"
install_venv "$root/.cache/sam" "$here/sam-requirements.txt"
install_dynamodb
