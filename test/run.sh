#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs what is missing, builds the project in several configurations and runs the tests in each.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: test/run.sh [configuration ...]

Builds and tests the configurations named, or all of them. They run in this order:
  asan     clang++, AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer; all tests but some of Beast, over
           shared memory only, and the fuzzers for a while
  tsan     clang++, ThreadSanitizer; the same without fuzzers
  clang    clang++, Release; the library, the public headers and the unit tests
  release  g++, Release; everything, with the public headers, the CMake package, the variants of a program's
           build, the tables of doc/, the models, two virtual machines and a selection of Boost's example programs
A warning fails the build in each of them. The last lines printed are a summary by ctest:
that of the first configuration that failed, otherwise that of the last one. The exit
status is 0 only if all of them passed.
Not among them: test/aarch64.sh cross-compiles for aarch64 and runs the unit tests in qemu.

environment:
  BUILD_DIR      where to build, a folder for each configuration (default: build/ of the project)
  JOBS           jobs of a build, and tests at once (default: 2)
  NO_INSTALL=1   do not install packages
On Debian 12, missing packages are installed with apt-get, by root or through sudo.
TEXT
}

all=(asan tsan clang release)
wanted=()
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
    asan | tsan | clang | release) wanted+=("$argument") ;;
    *)
      echo "test/run.sh: unknown configuration '$argument'" >&2
      usage >&2
      exit 2
      ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=("${all[@]}")

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_DIR:-$root/build}
jobs=${JOBS:-2}
summaries=()
first_failure=

say() { printf '\n== %s\n' "$*"; }

wants() {
  local name
  for name in "${wanted[@]}"; do
    [ "$name" != "$1" ] || return 0
  done
  return 1
}

install_packages() {
  local packages=(g++ cmake ninja-build python3 libboost1.81-dev libboost-context1.81-dev
    libboost-program-options1.81-dev libboost-test1.81-dev libssl-dev liburing-dev) missing=() package
  if wants release; then
    packages+=(libboost1.81-doc spin qemu-system-x86 busybox-static cpio)
  fi
  if wants asan || wants tsan || wants clang; then
    packages+=(clang libclang-rt-14-dev)
  fi
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here: assuming that these are installed: ${packages[*]}"
    return
  fi
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    say "all packages are installed"
    return
  fi
  say "installing ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  ${as_root[@]+"${as_root[@]}"} apt-get update -q
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
}

# Kernels with many bits of address space randomisation break older sanitizers now and then ("unexpected memory
# mapping"). Prints what to put in front of a command for this sanitizer, which is nothing where it is not needed.
sanitizer_prefix() { # sanitizer_prefix <sanitizer>
  local program="$build/probe-$1"
  printf '#include <thread>\nint main() { std::thread([] {}).join(); }\n' >"$program.cpp"
  clang++ -std=c++17 -pthread "-fsanitize=$1" "$program.cpp" -o "$program"
  local try
  for ((try = 0; try != 20; ++try)); do
    if ! "$program" >/dev/null 2>&1; then
      echo setarch "$(uname -m)" -R
      return
    fi
  done
}

configure() { # configure <name> <cmake arguments...>
  local name=$1
  shift
  local launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  cmake -S "$root" -B "$build/$name" -G Ninja -DASIO_SHM_WARNINGS_AS_ERRORS=ON \
    -DASIO_SHM_BUILD_TESTS=ON -DASIO_SHM_BUILD_EXAMPLES=ON ${launcher[@]+"${launcher[@]}"} "$@"
}

# Steps of a configuration, each only if the one before succeeded.
build_and_test() { # build_and_test <name> <prefix of ctest> <ctest arguments...> -- <cmake arguments...>
  local name=$1 prefix=$2 ctest_arguments=()
  shift 2
  while [ "$1" != -- ]; do
    ctest_arguments+=("$1")
    shift
  done
  shift
  configure "$name" "$@" || return
  cmake --build "$build/$name" --parallel "$jobs" || return
  # The prefix is a command and its arguments, or nothing.
  # shellcheck disable=SC2086
  $prefix ctest --test-dir "$build/$name" -j "$jobs" --output-on-failure --no-tests=error \
    ${ctest_arguments[@]+"${ctest_arguments[@]}"} 2>&1 | tee "$build/$name.log"
}

run_asan() {
  local prefix
  prefix=$(sanitizer_prefix address) || return
  build_and_test asan "$prefix" -- -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1 -D_GLIBCXX_ASSERTIONS" -DASIO_SHM_TEST_PCH=ON -DASIO_SHM_TEST_OPTIONS=-O0 \
    -DASIO_SHM_TEST_SHM_ONLY=ON "-DASIO_SHM_SANITIZE=address;undefined" -DASIO_SHM_BUILD_FUZZERS=ON
}

run_tsan() {
  local prefix
  prefix=$(sanitizer_prefix thread) || return
  build_and_test tsan "$prefix" -- -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" -DASIO_SHM_TEST_PCH=ON -DASIO_SHM_BUILD_EXAMPLES=OFF \
    -DASIO_SHM_TEST_OPTIONS=-O0 -DASIO_SHM_TEST_SHM_ONLY=ON -DASIO_SHM_SANITIZE=thread
}

# Without a precompiled header: what a test forgot to include shows here. The sanitizers' configurations have built the
# other tests and the examples with the same compiler.
run_clang() {
  build_and_test clang "" -L '^(unit|headers)$' -- -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Release \
    -DASIO_SHM_BUILD_EXAMPLES=OFF "-DASIO_SHM_TEST_FOLDERS=unit" -DASIO_SHM_TEST_OPTIONS=-O0
}

# The library as its users get it; of the programs, those among the variants are optimised.
run_release() {
  build_and_test release "" -- -DCMAKE_CXX_COMPILER=g++ -DCMAKE_BUILD_TYPE=Release -DASIO_SHM_TEST_PCH=ON \
    -DASIO_SHM_TEST_OPTIONS=-O0
}

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=detect_leaks=1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
# Lets ccache share what was compiled with a precompiled header.
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

mkdir -p "$build"
say "asio_shm: ${wanted[*]}, built in $build"
[ -n "${NO_INSTALL:-}" ] || install_packages

last=
for name in "${all[@]}"; do
  wants "$name" || continue
  last=$name
done
for name in "${all[@]}"; do
  wants "$name" || continue
  if [ "$name" = "$last" ] && [ ${#summaries[@]} -gt 0 ]; then
    say "so far"
    printf '%s\n' "${summaries[@]}"
  fi
  say "$name"
  rm -f "$build/$name.log"
  SECONDS=0
  if "run_$name"; then
    outcome=passed
  else
    outcome=FAILED
    [ -n "$first_failure" ] || first_failure=$name
  fi
  tests=$(grep -h 'tests passed' "$build/$name.log" 2>/dev/null || echo "not built")
  summaries+=("$(printf '%-8s %s in %d s: %s' "$name" "$outcome" "$SECONDS" "$tests")")
done

if [ -n "$first_failure" ]; then
  say "failed"
  printf '%s\n' "${summaries[@]}"
  echo
  sed -n '/tests passed/,$p' "$build/$first_failure.log" 2>/dev/null || echo "$first_failure: the build failed, see above"
  exit 1
fi
