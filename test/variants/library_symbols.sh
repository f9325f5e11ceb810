#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Fails if the compiled library knows any of Asio's classes but for its error categories: their layout depends on macros
# of the program.
#   library_symbols.sh <nm> <compiler> <library> <source that knows one>
set -euo pipefail

nm=$1 compiler=$2 library=$3 planted=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Whatever names boost::asio, defined or not, in a function's name or in the types of its parameters. Allowed: the error
# codes and categories, and functions of Boost.System on them.
foreign_symbols() {
  "$nm" -C "$1" | sed -n 's/^[0-9a-f ]*[a-zA-Z] //p' | grep 'boost::asio' \
    | sed -E 's/boost::asio::error::[a-z_]+/ /g; s/boost::asio::resolver_errc::[a-z_]+/ /g' \
    | grep 'boost::asio' | sort -u || true
}

"$compiler" -std=c++17 -O0 -c "$planted" -o "$work/planted.o"
if [[ $(foreign_symbols "$work/planted.o") != *boost::asio::detail::scheduler* ]]; then
  echo "the search does not find what was planted"
  exit 1
fi

# One symbol that must be there, so that an empty or stripped library does not pass.
if [[ $("$nm" -C "$library") != *shm::detail::reactor_core::reactor_core* ]]; then
  echo "$library has no symbols"
  exit 1
fi

found=$(foreign_symbols "$library")
if [ -n "$found" ]; then
  echo "$library knows classes of Asio:"
  echo "$found"
  exit 1
fi
echo "none of Asio's classes in $library"
