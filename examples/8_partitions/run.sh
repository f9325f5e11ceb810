#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Runs the examples' programs in two virtual machines without network devices and on their host.
set -euo pipefail
export LC_ALL=C

packages=(g++ cmake ninja-build python3 libboost1.81-dev libboost-program-options1.81-dev libssl-dev)

usage() {
  cat <<TEXT
usage: examples/8_partitions/run.sh [BUILD]

Builds the daemon shm_partitiond and the programs of 1_echo, 2_chat, 3_coroutines and demo in the folder
BUILD (default: build/partitions of the project), boots two virtual machines without network devices, and
runs the programs between the machines and their host. Prints what happened, and a table of latency and
throughput. Needs a few minutes the first time, one or two after that.

On Debian 12, what is missing is installed with apt-get, by root or through sudo: ${packages[*]},
qemu-system-x86, busybox-static, cpio. NO_INSTALL=1 forbids it.

Exit status: 0 if all went as it should; 1 if not; 2 for a wrong argument.
TEXT
}

say() { printf '== %s\n' "$*"; }

die() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 1
}

case "${1-}" in
  -h | --help)
    usage
    exit 0
    ;;
  -*)
    usage >&2
    exit 2
    ;;
esac
[ $# -le 1 ] || {
  usage >&2
  exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${1:-$root/build/partitions}
mkdir -p "$build"
build=$(cd "$build" && pwd)
work=$build/machines
mkdir -p "$work"

install_packages() {
  local package missing=() as_root=()
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  ${as_root[@]+"${as_root[@]}"} apt-get update -q
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
}

[ -n "${NO_INSTALL:-}" ] || ! command -v apt-get >/dev/null || install_packages

programs=(1_echo/echo_server_shm 1_echo/echo_client_shm 2_chat/chat_server_shm 2_chat/chat_client_shm
  3_coroutines/coroutine_server_shm 3_coroutines/coroutine_client_shm demo/demo_server demo/demo_client)
say "building in $build"
[ -e "$build/CMakeCache.txt" ] ||
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DASIO_SHM_BUILD_TESTS=OFF >"$work/build.log" 2>&1 ||
  {
    tail -n 40 "$work/build.log" >&2
    die "cmake failed"
  }
cmake --build "$build" --target shm_partitiond "${programs[@]##*/}" >>"$work/build.log" 2>&1 || {
  tail -n 40 "$work/build.log" >&2
  die "the build failed"
}

"$here/initramfs.sh" --work "$work" "$build/src/partitiond/shm_partitiond" "${programs[@]/#/$build/examples/}"
exec python3 "$here/run.py" --build "$build" --work "$work"
