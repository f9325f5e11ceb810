# SPDX-License-Identifier: BSL-1.0
# Shared by check.sh and mutations.sh: one run of spin in a directory of its own.
model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run <file> <defines> <safety|liveness>: writes $work/out; returns 0 if the search was
# complete and found nothing, 1 if it found an error, 2 if it says nothing.
run()
{
  local compile=(-"${optimise:-O2}" -DMEMLIM=2000 -DVECTORSZ=1024 ${collapse:+-DCOLLAPSE})
  local search=(-m"${longest:-200000}")
  if [ "$3" = liveness ]; then
    compile+=(-DNFAIR=3 -DNOREDUCE)
    search+=(-a -f)
  else
    compile+=(-DSAFETY -DNOCLAIM)
  fi
  # spin: p.o. reduction is not to be used together with rendezvous and unless
  case $2 in *-DKILL*) compile+=(-DNOREDUCE) ;; esac
  # shellcheck disable=SC2086 # several defines
  (cd "$work" && rm -f pan* ./*.trail && spin -a $2 "$model/$1" && "${CC:-cc}" "${compile[@]}" -o pan pan.c) \
    > "$work/log" 2>&1 || { cat "$work/log"; return 2; }
  (cd "$work" && timeout 1200 ./pan "${search[@]}") > "$work/out" 2>&1
  local status=$?
  if grep -q 'errors: [1-9]' "$work/out"; then
    return 1
  fi
  if [ $status -ne 0 ] || ! grep -q 'errors: 0' "$work/out" \
    || grep -qE 'max search depth too small|out of memory|Search not completed|VECTORSZ' "$work/out"; then
    cat "$work/out"
    return 2
  fi
}

states() { sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/out" | head -1; }
depth() { sed -n 's/.*depth reached \([0-9]*\).*/\1/p' "$work/out" | head -1; }
what() { sed -n 's/^pan:1: \(.*\) (at depth .*/\1/p' "$work/out" | head -1 | cut -c1-60; }
