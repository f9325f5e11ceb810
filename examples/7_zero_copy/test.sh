#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Two clients after each other get all quotes, more than the memory of a connection holds; the sum is checked.
# Usage: test.sh <server> <client>

source "$(dirname "${BASH_SOURCE[0]}")/../test_support.sh"
start_server "$1" 0 500000
port=${address##*:}

expected=0
for ((i = 0; i != 997; ++i)); do # the prices repeat after 997 quotes
  price[i]=$((10000 + i * i % 997))
  ((expected += price[i] * (500000 / 997)))
done
for ((i = 0; i != 500000 % 997; ++i)); do
  ((expected += price[i]))
done

for turn in 1 2; do
  answer=$(timeout "$deadline" "$2" localhost "$port") || fail "client $turn ended with status $?"
  [[ $answer == "500000 quotes, sum of prices $expected" ]] || fail "client $turn got: $answer"
done
stop_server
