#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Runs the coroutine server with two clients at once; each has to get back exactly what it sent.
# Usage: test.sh <server> <client>

source "$(dirname "${BASH_SOURCE[0]}")/../test_support.sh"
server=$1
client=$2

start_server "$server" 0
[[ $address =~ ^[1-9][0-9]*$ ]] || fail "not a port: $address"

# Short lines, an empty one, one longer than the buffers between the programs, and a last one without a newline.
{
  printf 'hello\n\nworld\n'
  head -c 6000000 /dev/zero | tr '\0' 'x'
  printf '\nthe end'
} >"$work/first.in"
seq 1 20000 >"$work/second.in"

clients=()
for name in first second; do
  timeout "$deadline" "$client" 127.0.0.1 "$address" <"$work/$name.in" >"$work/$name.out" &
  clients+=("$!")
done
pids+=("${clients[@]}")
for pid in "${clients[@]}"; do
  wait "$pid" || fail "a client ended with status $?"
done
for name in first second; do
  cmp "$work/$name.in" "$work/$name.out" || fail "the echo differs"
done

stop_server
if timeout "$deadline" "$client" 127.0.0.1 "$address" </dev/null 2>"$work/refused"; then
  fail "a client connected to a server that is gone"
fi
grep -q 'Connection refused' "$work/refused" || fail "no reason given for the refusal: $(cat "$work/refused")"
