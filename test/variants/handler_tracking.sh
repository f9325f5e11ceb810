#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Runs a program that is built with BOOST_ASIO_ENABLE_HANDLER_TRACKING and checks the lines that Asio prints.
#   handler_tracking.sh <program>
#
#   @asio|<time>|<parent>*<id>|<object>@<address>.<operation>   an operation was started
#   @asio|<time>|><id>|<results>                                its handler is called
#   @asio|<time>|<<id>|                                         its handler has returned
#   @asio|<time>|~<id>|                                         it was destroyed, its handler uncalled
set -euo pipefail

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
"$1" 2>"$lines" >/dev/null || { grep -v '^@asio' "$lines" || true; exit 1; }

awk -F'|' '
  $1 != "@asio" { next }
  $3 ~ /^[0-9]+\*[0-9]+$/ {
    split($3, ids, "*")
    operation = $4
    sub(/@.*\./, ".", operation)
    ++started[operation]
    if (++created[ids[2]] > 1) { print "created twice: " $0; wrong = 1 }
    next
  }
  $3 ~ /^>/ { ++called[substr($3, 2)]; if ($4 ~ /^ec=/) ++results; next }
  $3 ~ /^</ { ++returned[substr($3, 2)]; next }
  $3 ~ /^~/ { ++destroyed[substr($3, 2)]; next }
  END {
    count = split("socket.async_accept socket.async_connect socket.async_receive socket.async_send socket.async_wait " \
      "deadline_timer.async_wait resolver.async_resolve", expected, " ")
    for (i = 1; i <= count; ++i)
      if (!(expected[i] in started)) { print "no line for " expected[i]; wrong = 1 }
    for (id in created) {
      ends = called[id] + (called[id] ? 0 : destroyed[id])
      if (ends != 1) { print "operation " id " ended " ends " times"; wrong = 1 }
      if (called[id] != returned[id]) { print "handler " id " did not return"; wrong = 1 }
    }
    for (id in called)
      if (!(id in created)) { print "handler " id " was called of no operation"; wrong = 1 }
    if (results == 0) { print "no results of handlers"; wrong = 1 }
    for (operation in started)
      printf "%5d %s\n", started[operation], operation
    exit wrong
  }
' "$lines"
