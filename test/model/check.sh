#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Checks the models with spin. --deep: larger ones, for some minutes more. Fails on an error or an incomplete search.
set -u
. "$(dirname "$0")/common.sh"

failed=0
printf '%-10s | %-58s | %-8s | %10s | %6s | %7s | %s\n' model run checks states depth seconds result
check()
{
  local file=$1 defines=$2 kind=$3 result start seconds
  start=$(date +%s.%N)
  run "$file.pml" "$defines" "$kind"
  case $? in
  0) result=ok ;;
  1) result="ERROR: $(what)"; failed=1 ;;
  *) result=INCOMPLETE; failed=1 ;;
  esac
  seconds=$(echo "$(date +%s.%N) $start" | awk '{ printf "%.1f", $1 - $2 }')
  printf '%-10s | %-58s | %-8s | %10s | %6s | %7s | %s\n' "$file" "$(echo "$defines" | sed 's/-D//g')" "$kind" \
    "$(states)" "$(depth)" "$seconds" "$result"
}

one="-DONE_WAY -DBYTES_0"
if [ "${1:-}" != --deep ]; then
  check stream "$one=5" safety
  check stream "$one=5 -DWEAK" safety
  check stream "$one=5 -DNON_TEMPORAL" safety
  check stream "$one=3 -DCANCELS=1" safety
  check stream "$one=4 -DCANCELS=1 -DBLOCKING" safety
  check stream "$one=3 -DCLOSE=0" safety
  check stream "$one=4 -DCLOSE=1" safety
  check stream "$one=2 -DKILL" safety
  check stream "-DBYTES_0=1 -DBYTES_1=1" safety
  check stream "$one=3" liveness
  check stream "$one=2 -DCANCELS=1 -DCLOSE=0 -DNO_SPIN" liveness
  check inbox "-DPUSHERS=1 -DARRIVALS=1" safety
  check inbox "-DTHREADS=1 -DPUSHERS=2 -DARRIVALS=1" liveness
  check link "-DRESTARTS=1 -DMESSAGES=2" safety
  check link "-DRESTARTS=2 -DMESSAGES=1" safety
  check link "-DRESTARTS=1 -DMESSAGES=1" liveness
else
  collapse=1
  check stream "$one=6 -DWEAK" safety
  check stream "$one=5 -DDEPTH=8" safety
  check stream "$one=5 -DCLOSE=0" safety
  check stream "$one=5 -DCLOSE=1" safety
  check stream "$one=3 -DKILL" safety
  check stream "-DBYTES_0=1 -DBYTES_1=1 -DWEAK -DCLOSE=0" safety
  check stream "-DBYTES_0=3 -DBYTES_1=0 -DSEGMENT_SIZE=1 -DLARGEST=1 -DNO_SPIN" safety
  check inbox "-DPUSHERS=1 -DARRIVALS=2 -DMISSES=0" safety
  check inbox "-DPUSHERS=2 -DARRIVALS=1 -DMISSES=0" safety
fi
exit $failed
