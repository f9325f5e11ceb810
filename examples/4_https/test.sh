#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Runs the HTTPS server with two clients at once, then with clients that have to be told no.
# Usage: test.sh <server> <client>

source "$(dirname "${BASH_SOURCE[0]}")/../test_support.sh"
server=$1
client=$2

# Files: a short one, an empty one, one longer than the buffers between the programs.
mkdir "$work/files"
printf 'hello over TLS\n' >"$work/files/hello.txt"
: >"$work/files/empty"
seq 1 800000 >"$work/files/numbers"

start_server "$server" 0 "$work/files" "$work/certificate.pem"
[[ $address =~ ^[1-9][0-9]*$ ]] || fail "not a port: $address"
grep -q 'BEGIN CERTIFICATE' "$work/certificate.pem" || fail "no certificate"
if grep -q 'PRIVATE KEY' "$work/certificate.pem"; then fail "the private key got into a file"; fi

clients=()
for name in first second; do
  timeout "$deadline" "$client" localhost "$address" "$work/certificate.pem" \
    /hello.txt /empty /numbers /hello.txt >"$work/$name.out" &
  clients+=("$!")
done
pids+=("${clients[@]}")
for pid in "${clients[@]}"; do
  wait "$pid" || fail "a client ended with status $?"
done
for name in first second; do
  cat "$work/files"/{hello.txt,empty,numbers,hello.txt} | cmp - "$work/$name.out" || fail "the files differ"
done

# refused <text> <host> <target>: the client has to fail, and to say why.
refused() {
  if timeout "$deadline" "$client" "$2" "$address" "$work/certificate.pem" "$3" >/dev/null 2>"$work/refused"; then
    fail "no error for https://$2$3"
  fi
  grep -q "$1" "$work/refused" || fail "no reason given for https://$2$3: $(cat "$work/refused")"
}
refused 'no file /missing' localhost /missing
refused 'no file /$' localhost /
refused 'not a path' localhost /../certificate.pem
refused 'certificate verify failed' 127.0.0.1 /hello.txt

stop_server
refused 'Connection refused' localhost /hello.txt
