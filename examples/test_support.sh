# SPDX-License-Identifier: BSL-1.0
# What the test.sh of every example shares: a private directory, a server with a free port, an orderly end.
# Sourced, not run.
# shellcheck shell=bash disable=SC2034 # address is for the test that sources this

set -euo pipefail

work=$(mktemp -d)
export ASIO_SHM_DIR=$work/runtime
mkdir -m 700 "$ASIO_SHM_DIR"

deadline=20 # seconds for any one thing to happen
server_pid=
pids=()

clean_up() {
  local pid
  for pid in "${pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean_up EXIT

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

# start_server <program> <argument>...: sets $address to the last word of the line in which the server says where it
# listens. timeout(1) ends a server that outlives a killed test; it passes signals and the exit status on, with
# --foreground once: otherwise a second SIGTERM can kill a server that is just leaving because of the first.
start_server() {
  local line
  mkfifo "$work/server.out"
  timeout --foreground --signal=KILL 60 "$@" >"$work/server.out" &
  server_pid=$!
  pids+=("$server_pid")
  exec {server_out}<"$work/server.out"
  IFS= read -r -t "$deadline" -u "$server_out" line || fail "the server did not say that it listens"
  [[ $line == "listening on "* ]] || fail "unexpected first line of the server: $line"
  address=${line##* }
}

# The server has to leave by itself, with success, when it is told to.
stop_server() {
  local status=0
  kill -TERM "$server_pid"
  wait "$server_pid" || status=$?
  pids=()
  [[ $status -eq 0 ]] || fail "the server ended with status $status"
}
