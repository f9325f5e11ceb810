#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Builds the library, the daemon, the public headers and the unit tests for aarch64 and runs the unit tests in qemu.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: test/aarch64.sh

Cross-compiles for aarch64 with g++ and runs the unit tests in qemu's emulation of one process. A warning fails the
build. The last lines printed are a summary by ctest; the exit status is 0 only if all tests passed.
An emulator on x86-64 reorders less than an aarch64 processor may: fences are not tested by this.

environment:
  BUILD_DIR      where to build, in its folder aarch64 (default: build/ of the project)
  JOBS           jobs of a build, and tests at once (default: 2)
  NO_INSTALL=1   do not install packages
On Debian 12, missing packages are installed with apt-get, by root or through sudo. Boost's libraries for aarch64 are
unpacked in the build folder: the system keeps the architectures that it has.
TEXT
}

case "${1:-}" in
  '') ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    echo "test/aarch64.sh: unknown argument '$1'" >&2
    usage >&2
    exit 2
    ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_DIR:-$root/build}/aarch64
jobs=${JOBS:-2}
libraries=$build/boost/usr/lib/aarch64-linux-gnu

say() { printf '\n== %s\n' "$*"; }

install_packages() {
  local packages=(g++-aarch64-linux-gnu qemu-user cmake ninja-build libboost1.81-dev) missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
  fi
  ${as_root[@]+"${as_root[@]}"} apt-get update -q
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
}

# With package lists of its own, so that apt-get knows nothing of aarch64 otherwise.
unpack_boost() {
  local lists=$build/apt packages=() library package
  for library in test program-options; do
    packages+=("libboost-${library}1.81-dev" "libboost-${library}1.81.0")
  done
  say "unpacking ${packages[*]}"
  rm -rf "$build/boost" "$lists"
  mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial" "$lists/packages"
  local options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= -o "Dir::State=$lists"
    -o Dir::State::status=/dev/null -o "Dir::Cache=$lists/cache")
  apt-get "${options[@]}" update
  (cd "$lists/packages" && apt-get "${options[@]}" download "${packages[@]}")
  for package in "$lists"/packages/*.deb; do
    dpkg -x "$package" "$build/boost"
  done
  rm -rf "$lists"
}

mkdir -p "$build"
[ -n "${NO_INSTALL:-}" ] || install_packages
[ -e "$libraries/libboost_unit_test_framework.so" ] || unpack_boost

launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
say "building in $build"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-L;/usr/aarch64-linux-gnu" \
  -DBoost_NO_BOOST_CMAKE=ON -DBoost_NO_WARN_NEW_VERSIONS=ON "-DBOOST_LIBRARYDIR=$libraries" \
  -DCMAKE_BUILD_TYPE=Release -DASIO_SHM_WARNINGS_AS_ERRORS=ON -DASIO_SHM_BUILD_EXAMPLES=OFF \
  -DASIO_SHM_TEST_FOLDERS=unit -DASIO_SHM_TEST_OPTIONS=-O0 -DASIO_SHM_TEST_PCH=ON ${launcher[@]+"${launcher[@]}"}
cmake --build "$build" --parallel "$jobs"

# qemu offers the kernel twice the room for descriptors that the program has, and leaks those that it then cuts off.
export BOOST_TEST_RUN_FILTERS='!rendezvous/too_many_descriptors_are_closed_and_refused'
say "testing"
ctest --test-dir "$build" -L '^unit$' -j "$jobs" --output-on-failure --no-tests=error
