#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Runs the fuzzers for a while and prints how many inputs were tried and how much of the code they reached.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: test/fuzz/run.sh [seconds [fuzzer ...]]

Builds the fuzzers named, or all of them (hello ring connection listener), with clang++ and runs each for so many
seconds (default: 60), beginning with its corpus. What is found on the way is kept in BUILD_DIR/corpus, an input that
breaks something in BUILD_DIR/found. The exit status is 0 only if nothing broke.

environment:
  BUILD_DIR   where to build (default: build/fuzz of the project)
  JOBS        jobs of the build (default: 2)
  MINIMIZE=1  afterwards, make test/fuzz/corpus anew: the smallest set of what was found that reaches as much
TEXT
}

case "${1:-}" in
  -h | --help)
    usage
    exit 0
    ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD_DIR:-$root/build/fuzz}
seconds=${1:-60}
shift || true
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(hello ring connection listener)

cmake -S "$root" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" -DASIO_SHM_BUILD_FUZZERS=ON -DASIO_SHM_TEST_FOLDERS="" \
  -DASIO_SHM_BUILD_EXAMPLES=OFF >/dev/null
cmake --build "$build" --parallel "${JOBS:-2}" --target "${names[@]/#/fuzz_}" >/dev/null

failed=0
mkdir -p "$build/found"
for name in "${names[@]}"; do
  corpus=$build/corpus/$name
  mkdir -p "$corpus"
  log=$build/$name.log
  if "$build/test/fuzz/fuzz_$name" "-max_total_time=$seconds" -max_len=400 -timeout=10 -print_final_stats=1 \
    "-artifact_prefix=$build/found/$name-" "$corpus" "$root/test/fuzz/corpus/$name" >"$log" 2>&1; then
    outcome=passed
  else
    outcome=BROKEN
    failed=1
    grep -E '^broken:|ERROR|runtime error|artifact' "$log" || true
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -1)
  printf '%-10s %s: %s executions, %s\n' "$name" "$outcome" "${executions:-?}" "${coverage:-no coverage}"
  if [ -n "${MINIMIZE:-}" ] && [ "$outcome" = passed ]; then
    # Smallest first; an input is kept only if it reaches an edge that none before it has.
    smallest=$build/smallest/$name
    rm -rf "$smallest"
    mkdir -p "$smallest"
    "$build/test/fuzz/fuzz_$name" -merge=1 -use_value_profile=0 -use_counters=0 -max_len=400 "$smallest" "$corpus" \
      "$root/test/fuzz/corpus/$name" >/dev/null 2>&1
    rm -rf "$root/test/fuzz/corpus/$name"
    mkdir -p "$root/test/fuzz/corpus/$name"
    # A hundred at most: the short ones are soon found again.
    find "$smallest" -type f -printf '%s %p\n' | sort -rn | head -99 | cut -d' ' -f2- |
      xargs -I{} cp {} "$root/test/fuzz/corpus/$name/"
  fi
done
exit $failed
