#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Three clients talk: every one has to see exactly what the other two say, who comes and who goes.
# Usage: test.sh <server> <client>

source "$(dirname "${BASH_SOURCE[0]}")/../test_support.sh"
server=$1
client=$2
declare -A pid_of to from

# The ends of the pipes are opened in the order in which the client opens them, or both would wait for ever.
start_client() {
  local name=$1 write_end read_end
  mkfifo "$work/$name.in" "$work/$name.out"
  "$client" 127.0.0.1 "$address" "$name" <"$work/$name.in" >"$work/$name.out" &
  pid_of[$name]=$!
  pids+=("$!")
  exec {write_end}>"$work/$name.in" {read_end}<"$work/$name.out"
  to[$name]=$write_end
  from[$name]=$read_end
}

# sees <name> <line>: that very line has to be the next one that the client prints.
sees() {
  local line
  IFS= read -r -t "$deadline" -u "${from[$1]}" line || fail "$1 waits in vain for: $2"
  [[ $line == "$2" ]] || fail "$1 was to see '$2' and sees '$line'"
}

says() {
  printf '%s\n' "$2" >&"${to[$1]}"
}

start_server "$server" 0
[[ $address =~ ^[1-9][0-9]*$ ]] || fail "not a port: $address"

start_client ada
sees ada '* ada joined'
start_client bob
sees ada '* bob joined'
sees bob '* bob joined'
start_client eve
for name in ada bob eve; do
  sees "$name" '* eve joined'
done

long=$(printf 'x%.0s' {1..5000})
says ada 'hello'
sees bob 'ada: hello'
sees eve 'ada: hello'
says bob "$long"
sees ada "bob: $long"
sees eve "bob: $long"
says eve ''
sees ada 'eve: '
sees bob 'eve: '

# A client that ends its input leaves with success, also with words just before; one that is killed leaves too.
says eve 'bye'
write_end=${to[eve]}
exec {write_end}>&-
for name in ada bob; do
  sees "$name" 'eve: bye'
  sees "$name" '* eve left'
done
wait "${pid_of[eve]}" || fail "eve's client ended with status $?"

kill -KILL "${pid_of[bob]}"
sees ada '* bob left'
says ada 'nobody here?'

# ada's client reports that the server goes away.
stop_server
if wait "${pid_of[ada]}" 2>/dev/null; then
  fail "ada's client took the loss of the server for success"
fi
