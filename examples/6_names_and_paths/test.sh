#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# A client finds the server by its path; over shared memory also by short name and by address, and again after SIGKILL.
# Usage: test.sh <server> <client>

source "$(dirname "${BASH_SOURCE[0]}")/../test_support.sh"
server=$1
client=$2

ask() { # ask <endpoint>
  printf 'hello\nworld 1\n' | timeout "$deadline" "$client" "$1" >"$work/answers" || fail "the client ended with status $?"
  printf 'HELLO\nWORLD 1\n' | diff - "$work/answers" || fail "unexpected answers"
}

serve() { # serve <endpoint>
  rm -f "$work/server.out"
  start_server "$server" "$1"
}

serve "$work/socket"
[[ $address == "$work/socket" ]] || fail "the server listens on $address"
[[ -S $address ]] || fail "no socket at $address"
ask "$work/socket"
stop_server
if timeout "$deadline" "$client" "$work/socket" </dev/null 2>"$work/refused"; then
  fail "a client connected to a server that is gone"
fi

if [[ $server == *_shm ]]; then
  serve capitals
  [[ $address == capitals ]] || fail "the server listens on $address"
  ask capitals
  stop_server

  serve 127.0.0.1:0
  [[ $address =~ ^127\.0\.0\.1:[1-9][0-9]*$ ]] || fail "the server listens on $address"
  ask "$address"
  stop_server

  # Not through timeout(1), which does not pass SIGKILL on.
  "$server" "$work/killed" >"$work/killed.out" &
  killed=$!
  pids+=("$killed")
  for ((tries = 0; tries != 10 * deadline; ++tries)); do
    grep -q '^listening on' "$work/killed.out" && break
    sleep 0.1
  done
  kill -KILL "$killed"
  wait "$killed" && fail "the server survived SIGKILL"
  [[ -S $work/killed ]] || fail "this test expects that SIGKILL leaves a file"
  serve "$work/killed"
  ask "$work/killed"
  stop_server
fi
