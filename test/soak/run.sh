#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Builds the soak and runs it for a while.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: test/soak/run.sh [seconds] [--processes N] [option ...]

Many processes connect to each other and move checked data, for so many seconds (default: 60), while they are killed,
stopped and starved of CPUs. The exit status is 0 only if every byte that arrived is right, no wake-up was missed,
nothing hangs and nothing is left behind. --seed makes the same choices again; --help lists the other options.

environment:
  BUILD_DIR   where to build (default: build/soak of the project)
  SANITIZE    address;undefined or thread, with clang++ (default: none)
  JOBS        jobs of the build (default: 2)
TEXT
}

case "${1:-}" in
  -h)
    usage
    exit 0
    ;;
  --help)
    usage
    ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD_DIR:-$root/build/soak}
seconds=60
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi

settings=(-DCMAKE_BUILD_TYPE=RelWithDebInfo)
if [ -n "${SANITIZE:-}" ]; then
  settings+=(-DCMAKE_CXX_COMPILER=clang++ "-DASIO_SHM_SANITIZE=$SANITIZE")
fi
if command -v ccache >/dev/null; then
  settings+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake -S "$root" -B "$build" -G Ninja -DASIO_SHM_BUILD_EXAMPLES=OFF -DASIO_SHM_TEST_FOLDERS= "${settings[@]}" &&
  cmake --build "$build" --parallel "${JOBS:-2}" --target soak; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
prefix=()
# Older sanitizers cannot have many bits of address space randomisation.
if [ -n "${SANITIZE:-}" ] && setarch "$(uname -m)" -R true 2>/dev/null; then
  prefix=(setarch "$(uname -m)" -R)
fi
${prefix[@]+"${prefix[@]}"} "$build/test/soak/soak" --seconds "$seconds" "$@"
