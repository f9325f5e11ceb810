#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Two clients of the dictionary server, one after the other: the second one finds what the first one has set.
# Usage: test.sh <server> <client>

source "$(dirname "${BASH_SOURCE[0]}")/../test_support.sh"
server=$1
client=$2

start_server "$server" 0

printf '%s\n' 'get color' 'set color dark red' 'get color' 'what?' |
  timeout "$deadline" "$client" 127.0.0.1 "$address" >"$work/first" || fail "the first client ended with status $?"
printf '%s\n' 'unknown word' 'ok' 'dark red' 'set <word> <value>, or get <word>' | diff - "$work/first" ||
  fail "unexpected answers to the first client"

# More than the buffers of the streams hold.
{
  for number in {1..500}; do
    echo "set word$number value $number"
  done
  for number in {1..500}; do
    echo "get word$number"
  done
  echo 'get color'
} | timeout "$deadline" "$client" localhost "$address" >"$work/second" || fail "the second client ended with status $?"
{
  yes ok | head -n 500 || true
  for number in {1..500}; do
    echo "value $number"
  done
  echo 'dark red'
} | diff - "$work/second" >/dev/null || fail "unexpected answers to the second client"

stop_server
if echo 'get color' | timeout "$deadline" "$client" 127.0.0.1 "$address" 2>"$work/refused"; then
  fail "a client connected to a server that is gone"
fi
grep -q 'Connection refused' "$work/refused" || fail "no reason given for the refusal: $(cat "$work/refused")"
