#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Compares one echo server and its client over TCP, AF_UNIX and shared memory, on real files, and prints a table.

set -euo pipefail
export LC_ALL=C # decimal points, whatever the user's language is

packages=(g++ cmake ninja-build libboost1.81-dev libssl-dev)
rounds=3

usage() {
  cat <<END
usage: examples/demo.sh [--help]

Installs what is missing of: ${packages[*]}
(with apt-get, as root or by sudo); builds the library and the demo's two programs
in Release; starts the same echo server over TCP, AF_UNIX and shared memory, each
in a process of its own; measures 64-byte round trips and sends real files through
each; compares the SHA-256 of what came back with that of what was sent; prints a
table. Needs a few minutes the first time, half a minute after that.

Environment:
  BUILD_DIR         where to build (default: build/demo in the project)
  DEMO_TRANSPORTS   for development: which transports to run, the first being the
                    one that others are compared with (default: "tcp unix shm")

Exit status: 0; 1 if a package cannot be installed, a build fails, a server does
not start, a client fails, or a checksum differs; 2 for a wrong argument.
END
}

say() { echo "==> $*"; }

fail() {
  echo "demo.sh: $*" >&2
  exit 1
}

case ${1-} in
'') ;;
-h | --help) usage && exit 0 ;;
*) usage >&2 && exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_DIR:-$root/build/demo}
read -r -a transports <<<"${DEMO_TRANSPORTS:-tcp unix shm}"
work=$(mktemp -d)
server_pids=()

clean_up() {
  local pid
  for pid in "${server_pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_missing() {
  local package missing=() as_root=()
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: taking for granted that these are installed: ${packages[*]}"
    return
  fi
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then
    say "packages: all installed (${packages[*]})"
    return
  fi
  say "packages: installing ${missing[*]}"
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || fail "these packages are missing, and there is no sudo to install them: ${missing[*]}"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q >"$work/apt.log" 2>&1 &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "${missing[@]}" >>"$work/apt.log" 2>&1 ||
    { tail -n 20 "$work/apt.log" >&2 && fail "apt-get failed"; }
}

build_programs() {
  say "building in Release: $build"
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DASIO_SHM_BUILD_EXAMPLES=ON \
    -DASIO_SHM_BUILD_TESTS=OFF >"$work/build.log" 2>&1 &&
    cmake --build "$build" --target demo_server demo_client >>"$work/build.log" 2>&1 ||
    { tail -n 40 "$work/build.log" >&2 && fail "the build failed"; }
  server=$build/examples/demo/demo_server
  client=$build/examples/demo/demo_client
}

# A small text, a big system library, and the project's sources in one file.
choose_files() {
  local part parts=() big
  big=$(find /usr/lib -type f -name '*.so*' -size +20000000c -size -200000000c -printf '%s %p\n' 2>/dev/null |
    awk '$1 > size { size = $1; path = substr($0, length($1) + 2) } END { print path }') || true
  if [[ -z $big ]]; then
    big=$work/programs
    while [[ $(stat -c %s "$big" 2>/dev/null || echo 0) -lt 32000000 ]]; do
      find /usr/bin -type f -exec cat {} + 2>/dev/null >>"$big" || true
      [[ -s $big ]] || fail "nothing in /usr/bin to make a file of"
    done
    truncate -s '<100000000' "$big"
  fi
  for part in CMakeLists.txt README.md LICENSE include src examples test doc; do
    [[ ! -e $root/$part ]] || parts+=("$part")
  done
  tar -C "$root" -cf "$work/sources.tar" "${parts[@]}"
  files=("$root/examples/demo.sh" "$work/sources.tar" "$big")
  big_index=2
}

declare -A address

start_server() {
  local transport=$1 listen=127.0.0.1:0 line
  [[ $transport != unix ]] || listen=$work/socket
  mkfifo "$work/$transport.out"
  "$server" "$transport" "$listen" >"$work/$transport.out" 2>"$work/$transport.err" &
  server_pids+=("$!")
  exec {out}<"$work/$transport.out"
  if ! IFS= read -r -t 20 -u "$out" line || [[ $line != "listening on "* ]]; then
    fail "the $transport server did not start: $(cat "$work/$transport.err")"
  fi
  address[$transport]=${line#listening on }
}

# run_client <transport> <argument>...: leaves the client's "key value" lines in $work/result.
run_client() {
  local transport=$1 status=0
  shift
  timeout --foreground 120 "$client" "$transport" "${address[$transport]}" "$@" \
    >"$work/result" 2>"$work/client.err" || status=$?
  [[ $status -ne 124 ]] || fail "the $transport client was not done after 120 s ($1)"
  [[ $status -eq 0 ]] || fail "the $transport client failed ($1, status $status): $(cat "$work/client.err")"
}

value() { awk -v key="$1" '$1 == key { print $2 }' "$work/result"; }

# An independent look: the client's hashes against those of sha256sum.
check_sums() {
  local transport=$1 i
  for i in "${!files[@]}"; do
    [[ $(value "file.$i.sha256_received") == "${sums[i]}" ]] ||
      fail "checksum differs: ${files[i]} came back changed over $transport"
  done
}

median() { sort -g "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

say "shm::stream_protocol demo: one echo server, one client, over: ${transports[*]}"
install_missing
build_programs

export ASIO_SHM_DIR=$work/shm
mkdir -m 700 "$ASIO_SHM_DIR"
choose_files
say "files sent through each server:"
sums=()
for file in "${files[@]}"; do
  sum=$(sha256sum <"$file")
  sums+=("${sum%% *}")
  printf '    %12d bytes  sha256 %.16s...  %s\n' "$(stat -L -c %s "$file")" "$sum" "$file"
done

for transport in "${transports[@]}"; do
  start_server "$transport"
  say "$transport server listens on ${address[$transport]}"
done

for ((round = 1; round <= rounds; ++round)); do
  say "round $round of $rounds"
  for transport in "${transports[@]}"; do
    run_client "$transport" rtt
    value rtt.p50_us >>"$work/$transport.p50"
    value rtt.p99_us >>"$work/$transport.p99"
    run_client "$transport" file "${files[@]}"
    check_sums "$transport"
    value "file.$big_index.mb_per_s" >>"$work/$transport.speed"
  done
done
say "every file came back with the SHA-256 that it was sent with"

for i in "${!server_pids[@]}"; do
  status=0
  kill -TERM "${server_pids[i]}"
  wait "${server_pids[i]}" || status=$?
  [[ $status -eq 0 ]] || fail "the ${transports[i]} server ended with status $status"
done
server_pids=()

first=${transports[0]}
cpu=$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
echo
echo "machine: ${cpu:-$(uname -m)}, $(nproc) cores, Linux $(uname -r)"
echo "median of $rounds interleaved rounds; throughput is that of $(basename "${files[big_index]}"), bytes one way"
echo
row='%-9s  %10s  %10s  %12s  %14s  %14s\n'
printf "$row" transport 'p50 (us)' 'p99 (us)' 'MB/s' "p50 vs $first" "MB/s vs $first"
printf "$row" --------- ---------- ---------- ------------ -------------- --------------
first_p50=$(median "$work/$first.p50")
first_speed=$(median "$work/$first.speed")
for transport in "${transports[@]}"; do
  awk -v row="$row" -v name="$transport" -v p50="$(median "$work/$transport.p50")" \
    -v p99="$(median "$work/$transport.p99")" -v speed="$(median "$work/$transport.speed")" \
    -v p50_0="$first_p50" -v speed_0="$first_speed" 'BEGIN {
      printf row, name, sprintf("%.2f", p50), sprintf("%.2f", p99), sprintf("%.0f", speed),
        (p50 > p50_0) ? sprintf("%.1fx higher", p50 / p50_0) : sprintf("%.1fx lower", p50_0 / p50),
        sprintf("%.2fx", speed / speed_0) }'
done
