#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Builds and runs the consumer project against the installed package and against the sources.
# usage: run.sh <source dir> <binary dir>, where the binary dir is a finished build of the library.
set -euo pipefail

if [ $# -ne 2 ]; then
  echo "usage: $0 <source dir> <binary dir>" >&2
  exit 2
fi
source_dir=$(cd "$1" && pwd)
binary_dir=$(cd "$2" && pwd)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export ASIO_SHM_DIR="$scratch/runtime"

# The value of an entry in the cache of the library's build.
cached() { sed -n "s/^$1:[A-Z]*=//p" "$binary_dir/CMakeCache.txt"; }

# The consumer is built as the library was: same tools, same kind of build.
settings=()
for name in CMAKE_GENERATOR CMAKE_CXX_COMPILER CMAKE_CXX_COMPILER_LAUNCHER CMAKE_CXX_FLAGS CMAKE_BUILD_TYPE \
    BUILD_SHARED_LIBS Boost_DIR; do
  value=$(cached "$name")
  case "$name" in
    CMAKE_GENERATOR) settings+=(-G "$value") ;;
    *) [ -z "$value" ] || settings+=("-D$name=$value") ;;
  esac
done

try() { # try <what> <cmake arguments...>
  local what=$1
  shift
  echo "== $what"
  cmake -S "$source_dir/test/cmake_consumer" -B "$scratch/$what" "${settings[@]}" "$@"
  cmake --build "$scratch/$what" --parallel 2
  timeout 60 "$scratch/$what/consumer"
}

cmake --install "$binary_dir" --prefix "$scratch/prefix"
# A package that still needs the source tree would not be noticed if the build's own registry were consulted.
try find_package -DCMAKE_PREFIX_PATH="$scratch/prefix" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
if grep -rF -e "$source_dir" -e "$binary_dir" "$scratch/prefix" --include='*.cmake'; then
  echo "the installed package names the build's folders" >&2
  exit 1
fi
try add_subdirectory -DASIO_SHM_SOURCE_DIR="$source_dir"
