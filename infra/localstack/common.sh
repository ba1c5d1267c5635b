# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it: where things live. All state stays under .cache/, which git ignores.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/.cache/localstack
sam_bin=$root/.cache/sam/bin
pidfile=$cache/localstack.pid
log=$cache/localstack.log
endpoint_file=$cache/function-endpoint # see hostmode/executor.py
port=4566
endpoint=http://127.0.0.1:$port

die() {
  echo "localstack: $*" >&2
  exit 1
}

# Prints the pid of our running LocalStack. The command line is compared because a stale pid may belong to someone else by now.
running_pid() {
  local pid
  pid=$(cat "$pidfile" 2>/dev/null) || return 1
  [[ $(ps -o args= -p "$pid" 2>/dev/null) == *"-m hostmode"* ]] || return 1
  echo "$pid"
}

healthy() {
  curl -fsS -o /dev/null --max-time 5 "$endpoint/_localstack/health" 2>/dev/null
}

port_taken() {
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}
