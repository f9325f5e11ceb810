#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Sends files through the demo's server over one transport; their checksums have to be those of sha256sum(1).
# Usage: test.sh <server> <client> tcp|unix|shm

source "$(dirname "${BASH_SOURCE[0]}")/../test_support.sh"
server=$1
client=$2
transport=$3

if [[ $transport == unix ]]; then
  start_server "$server" unix "$work/socket"
else
  start_server "$server" "$transport" 127.0.0.1:0
fi

: >"$work/empty"
seq 1 400000 >"$work/numbers"
timeout "$deadline" "$client" "$transport" "$address" file "$work/empty" "$work/numbers" "$client" >"$work/result" ||
  fail "the client ended with status $?"

index=0
for file in "$work/empty" "$work/numbers" "$client"; do
  hash=$(sha256sum <"$file")
  grep -qx "file.$index.sha256_received ${hash%% *}" "$work/result" || fail "checksum of $file differs"
  index=$((index + 1))
done

timeout "$deadline" "$client" "$transport" "$address" rtt 0.2 >"$work/result" || fail "rtt ended with status $?"
grep -qE '^rtt\.count [1-9][0-9]*$' "$work/result" || fail "no round trips: $(cat "$work/result")"
grep -qE '^rtt\.p50_us [0-9.]+$' "$work/result" || fail "no p50: $(cat "$work/result")"

stop_server
if timeout "$deadline" "$client" "$transport" "$address" rtt 0.2 2>/dev/null; then
  fail "a client succeeded without a server"
fi
