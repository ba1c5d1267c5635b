# For scripts to source. start_relay builds and starts a relay on this machine over an empty file; it sets url, key and
# work, a folder that goes with the relay when the script ends.
work=$(mktemp -d)
relay=
trap '[[ -z $relay ]] || kill "$relay"; rm -rf "$work"' EXIT

start_relay() {
  go build -o "$work/relay" ./infra/cmd/relay
  key=$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')
  RELAY_ADMIN_KEY=$key "$work/relay" dev --listen 127.0.0.1:0 --data "$work/relay.db" --log-level error >"$work/out" &
  relay=$!
  for _ in $(seq 100); do
    url=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$work/out" | head -1 || true)
    [[ -z $url ]] || return 0
    sleep 0.1
  done
  echo "audit: the relay did not start" >&2
  return 1
}
