#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs what is missing, builds the benchmarks in Release and runs them.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: test/bench/run.sh [--quick] [--plots] [option of run.py ...]

Installs the Debian packages that are missing, builds the library and the benchmarks in
Release, measures in interleaved rounds and prints tables, the last of them the one of the
requirements with "pass" or "short" in each row.
  --quick     only what the table of the requirements needs: under 4 minutes once built
  --plots     draw the results as SVG files into the folder plots of the build
  --help      print this
Other options go to run.py; test/bench/run.py --help prints them. Without --quick it takes
just under an hour.

environment:
  BUILD_DIR      where to build, and where the results are written (default: build/bench)
  JOBS           jobs of the build (default: one for each CPU)
  NO_INSTALL=1   do not install packages
What is not there in the end, be it a package or a program, is "not available" in the tables.
TEXT
}

plots=
arguments=()
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
    --plots)
      plots=1
      arguments+=(--plots)
      ;;
    *) arguments+=("$argument") ;;
  esac
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD_DIR:-$root/build/bench}
needed=(g++ cmake ninja-build python3 libboost1.81-dev libboost-program-options1.81-dev)
# Without these, some rows are missing.
wanted=(libbenchmark-dev pkg-config libzmq3-dev libnanomsg-dev libucx-dev ucx-utils libfabric-dev libfabric-bin
  iceoryx libiceoryx-hoofs-dev libiceoryx-posh-dev libssl-dev strace)

say() { printf '== %s\n' "$*" >&2; }

fail() {
  echo "run.sh: $*" >&2
  exit 1
}

missing_of() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
  done
}

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" \
    </dev/null >>"$log" 2>&1
}

install_packages() {
  local missing package
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here: assuming that these are installed: ${needed[*]} ${wanted[*]}"
    return
  fi
  [ -z "$plots" ] || wanted+=(python3-matplotlib)
  mapfile -t missing < <(missing_of "${needed[@]}" "${wanted[@]}")
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "no sudo to install packages with; NO_INSTALL=1 does without"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q >>"$log" 2>&1 || say "apt-get update failed, see $log"
  install "${missing[@]}" && return
  # One that this system does not have must not keep the others away.
  for package in "${missing[@]}"; do
    install "$package" || say "could not install $package, see $log"
  done
  mapfile -t missing < <(missing_of "${needed[@]}")
  [ ${#missing[@]} -eq 0 ] || fail "cannot build without ${missing[*]}"
}

# A program that does not compile is a missing row, not the end.
build_programs() {
  local launcher=()
  ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  say "building in $build"
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DASIO_SHM_BUILD_BENCH=ON \
    -DASIO_SHM_BUILD_TESTS=OFF -DASIO_SHM_BUILD_EXAMPLES=OFF ${launcher[@]+"${launcher[@]}"} >>"$log" 2>&1 ||
    { tail -n 20 "$log" >&2 && fail "cmake failed"; }
  cmake --build "$build" --parallel "${JOBS:-$(nproc)}" --target asio_shm_bench_support >>"$log" 2>&1 ||
    { tail -n 40 "$log" >&2 && fail "the build failed"; }
  cmake --build "$build" --parallel "${JOBS:-$(nproc)}" -- -k 0 >>"$log" 2>&1 ||
    say "some programs were not built, see $log"
}

# The one that Debian's packages are for, whatever else is installed.
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3

mkdir -p "$build"
log=$build/run.log
: >"$log"
[ -n "${NO_INSTALL:-}" ] || install_packages
build_programs
"$python" "$root/test/bench/run.py" --build "$build" ${arguments[@]+"${arguments[@]}"}
