#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Removes each fence, recheck and order from the models in turn; fails unless spin then finds an error.
set -u
. "$(dirname "$0")/common.sh"

failed=0
optimise=O1
printf '%-34s | %-32s | %-20s | %s\n' mutation "what goes wrong" "memory, run" "found by"
mutate()
{
  local file=$1 name=$2 defines=$3 wrong=$4 found
  run "$file" "-DMUTATE_$name $defines" "${5:-safety}"
  case $? in
  1) found=$(what) ;;
  0) found="NOT FOUND"; failed=1 ;;
  *) found="NO RESULT"; failed=1 ;;
  esac
  printf '%-34s | %-32s | %-20s | %s\n' "${name/ -DMUTATE_/ + }" "$wrong" "$(echo "$defines" | sed 's/-D//g')" "$found"
}
stream() { mutate stream.pml "$@"; }
inbox() { mutate inbox.pml "$@"; }

one="-DONE_WAY -DBYTES_0"
stream no_fence_in_arm "$one=2" "lost wake-up"
stream no_fence_in_ring_sleeper "$one=2" "lost wake-up"
stream no_look_again "$one=2" "lost wake-up"
stream arms_for_data_only "$one=5" "writer never woken"
stream no_rung_memory "$one=3" "two rings for one sleep"
stream same_odd_value "$one=3" "second sleep never rung"
stream freed_not_told "$one=5" "writer never woken"
stream shutdown_not_told "$one=2" "reader never woken"
stream cancel_disarms_the_other "-DBYTES_0=3 -DBYTES_1=0 -DCANCELS=1 -DCANCELS_1=0 -DSEGMENT_SIZE=1 -DLARGEST=1 -DNO_SPIN" "lost wake-up"
stream drain_after_look "$one=3 -DBLOCKING" "lost wake-up"
stream hang_up_not_latched "$one=2 -DCLOSE=0" "reader sleeps for ever"
stream hang_up_not_latched "$one=5 -DCLOSE=1" "writer sleeps for ever"
stream hang_up_does_not_wake "$one=2 -DCLOSE=0" "reader sleeps for ever"
stream no_second_look_at_eof "$one=2" "bytes lost at eof"
stream no_second_look_at_end "$one=3" "segment left too soon"
stream leaves_without_newest "$one=3" "oldest overtakes newest"
stream newest_before_end "$one=5" "end of an earlier lap"
stream end_before_data "$one=2" "old bytes read"
stream oldest_before_copy "$one=6" "unread bytes overwritten"
stream end_relaxed "$one=2 -DWEAK" "old bytes read"
stream newest_relaxed "$one=5 -DWEAK" "end of an earlier lap"
stream no_acquire_of_end "$one=2 -DWEAK" "old bytes read"
stream no_acquire_of_newest "$one=3 -DWEAK" "segment left too soon"
stream no_store_fence "$one=2 -DNON_TEMPORAL" "old bytes read"

poll="-DPUSHERS=1 -DARRIVALS=1"
inbox active_looked_at_before_push "$poll" "completion stays in the inbox"
inbox push_does_not_post "$poll" "completion stays in the inbox"
inbox inbox_looked_at_before_active "$poll" "completion stays in the inbox"
inbox leftovers_do_not_post "-DPUSHERS=2 -DARRIVALS=1" "a handler waits for what is left"
inbox end_without_recheck "$poll" "completion stays in the inbox"
inbox break_without_timer "$poll" "hot socket forgotten"
inbox add_hot_does_not_post "$poll" "hot socket forgotten"
inbox edge_does_not_post "$poll" "doorbell forgotten"
inbox pause_does_not_post "$poll" "role given up for good"
one_thread="-DTHREADS=1 -DPUSHERS=2 -DARRIVALS=1"
inbox add_hot_without_news "$one_thread" "task posted again and again" liveness
inbox ready_without_news "$one_thread" "completion stays in ready_" liveness
inbox news_forgets_ready "$one_thread" "completion stays in ready_" liveness

link() { mutate link.pml "$@"; }
link stays_up "-DMESSAGES=1" "mail of another epoch"
link keeps_epoch "-DMESSAGES=0" "never up again" liveness
link up_at_first_sight "-DMESSAGES=0" "each drops the link in turn" liveness
link epoch_before_seen "-DMESSAGES=0" "each drops the link in turn" liveness
link epoch_before_numbers "-DMESSAGES=1" "never up again" liveness

# Orders that the code has twice: one of the two is enough, without both there is an error.
both()
{
  local file=$1 first=$2 second=$3 defines=$4 one
  for one in "$first" "$second"; do
    run "$file" "-DMUTATE_$one $defines" safety
    [ $? -eq 0 ] || { printf '%-34s | expected no error\n' "$one"; failed=1; }
  done
  mutate "$file" "$first -DMUTATE_$second" "$defines" "$5"
}
both stream.pml no_disarm rearm_keeps_value "$one=3" "second sleep never rung"
exit $failed
