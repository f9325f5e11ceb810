// SPDX-License-Identifier: BSL-1.0
// The ring and the sleep/wake protocol: two sides, each with a socket, a private cache and a store buffer.
//
// Names are those of src/segment_ring.cpp, src/connection.cpp and src/socket_core_operations.cpp. Chosen by -D:
// SEGMENT_SIZE, SEGMENT_COUNT, LARGEST (bytes of one operation), BYTES_0, BYTES_1 (sent by each side); ONE_WAY;
// CANCELS (of each side; CANCELS_1: of side 1); CLOSE (the side that may close at any time); KILL (any side at any
// time); BLOCKING (operations sleep in ppoll); NO_SPIN (no polling: who polled for ever would never take an
// event); WEAK, NON_TEMPORAL, DEPTH (see store_buffer.pml); MUTATE_* (see mutations.sh).

#ifndef SEGMENT_SIZE
#define SEGMENT_SIZE 2
#endif
#ifndef SEGMENT_COUNT
#define SEGMENT_COUNT 2
#endif
#ifndef BYTES_0
#define BYTES_0 6
#endif
#ifndef BYTES_1
#define BYTES_1 2
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef CANCELS_1
#define CANCELS_1 CANCELS
#endif
#ifndef LARGEST
#define LARGEST 2
#endif

#if defined(CLOSE) || defined(KILL)
#define HANG_UP
#endif

// The control segment and the data segments of the ring that side r writes.
#define newest(r) ((r) * WORDS + 0)
#define shut_down(r) ((r) * WORDS + 1)
#define writer_wait(r) ((r) * WORDS + 2)
#define oldest(r) ((r) * WORDS + 3)
#define reader_wait(r) ((r) * WORDS + 4)
#define end_of(r, number) ((r) * WORDS + 5 + (number) % SEGMENT_COUNT)
#define data_at(r, position) ((r) * WORDS + 5 + SEGMENT_COUNT + (position) % (SEGMENT_SIZE * SEGMENT_COUNT))
#define begin_of(r, number) \
  ((r) * WORDS + 5 + SEGMENT_COUNT + SEGMENT_SIZE * SEGMENT_COUNT + (number) % SEGMENT_COUNT)
#ifdef HANG_UP
#define WORDS (5 + 2 * SEGMENT_COUNT + SEGMENT_SIZE * SEGMENT_COUNT)
#else
#define WORDS (5 + SEGMENT_COUNT + SEGMENT_SIZE * SEGMENT_COUNT)
#endif
#ifdef ONE_WAY
#define MEMORY WORDS
#else
#define MEMORY (2 * WORDS)
#endif

// Only loads, rings and events can be told apart from outside: a store goes into the own buffer first. So a side runs
// from one of them to the next in one step; each step is granted by a process of its own, for the sake of fairness.
chan step[2] = [0] of { bit };
#define yield() step[me] ? _
#ifdef KILL
#define yield_before_store() yield() // death cuts a sequence of stores anywhere
#else
#define yield_before_store() skip
#endif

proctype clock(byte me)
{
end:
  do
  :: step[me] ! 0
  od
}

#include "store_buffer.pml"

bool bell[2];     // rung and not yet taken: an epoll edge, or an eventfd's counter
bool finished[2]; // nothing more to do
#ifdef HANG_UP
bool gone[2];      // has closed, or is dead
bool hang_up[2];   // the event at this side
byte sent[2];      // by operations that have completed
byte copied[2];    // out of the ring by the reader of that ring
byte received[2];  // by operations that have completed
#define ghost(statement) statement
#else
#define ghost(statement) skip
#endif
#ifdef KILL
bool dead[2];
#endif

#ifdef ONE_WAY
#define sends (me == 0)
#define receives (me == 1)
#else
#define sends true
#define receives true
#endif
#define to_send (me == 0 -> BYTES_0 : BYTES_1)
#define peer (1 - me)
#define in peer  // the ring that is read
#define out me   // the ring that is written

#define odd(word) ((word) & 1)

#ifdef BLOCKING
#define asleep_in_call (!hot && (receive_pending || send_pending)) // in ppoll()
#define event_seen asleep_in_call
#else
#define asleep_in_call false
#define event_seen true // by the thread that runs the context
#endif

#include "connection.pml"

mtype = { start_receive, start_send, visit, armed };

proctype side(byte me)
{
  // ring_writer
  byte position, limit = SEGMENT_SIZE, w_newest, w_oldest;
  // ring_reader
  byte r_position, r_limit = SEGMENT_SIZE, r_oldest, r_end, r_newest;
  bool freed;
  // connection
  byte reader_wait_, writer_wait_, reader_wait_rung, writer_wait_rung;
  bool hung_up, send_shut_down, eof;
  // socket_core
  bool receive_pending, send_pending, hot, progress;
  byte cancels = (me == 0 -> CANCELS : CANCELS_1);
  mtype mode = visit;
  // steps
  byte total, word, size = 1;
  bool next, left, done;
#ifdef MUTATE_no_acquire_of_end
  byte early;
#endif

  atomic {
  skip;
idle:
  mode = visit;
  size = 1;
  yield();
  if
  :: receives && !eof && !receive_pending && !asleep_in_call -> mode = start_receive
  :: sends && !send_shut_down && !send_pending && !asleep_in_call -> mode = start_send
  :: hot && (receive_pending || send_pending)
  :: hot && !receive_pending && !send_pending -> hot = 0; goto idle
#ifdef BLOCKING
  // sleep(): the doorbell is a counter; it is drained after ppoll() has returned and before the look.
  :: bell[me] && asleep_in_call ->
     bell[me] = 0;
     disarm();
     hot = 1;
     goto idle
#else
  // on_event(doorbell): the edge is taken by epoll_wait()
  :: bell[me] -> bell[me] = 0;
     disarm();
     hot = (receive_pending || send_pending);
     goto idle
#endif
#ifdef HANG_UP
  :: hang_up[me] && event_seen -> hang_up[me] = 0;
     latch_hang_up();
#ifndef MUTATE_hang_up_does_not_wake
     disarm();
     hot = (receive_pending || send_pending);
#endif
     goto idle
#endif
  // cancel(), a time-out, or any other reason to wake at any time
  :: cancels > 0 && (receive_pending || send_pending) -> cancels--;
     if
     :: receive_pending = 0
     :: send_pending = 0
     :: receive_pending = 0; send_pending = 0
     fi;
#ifdef MUTATE_cancel_disarms_the_other
     disarm();
#else
     if
     :: !receive_pending && !send_pending -> disarm()
     :: else
     fi;
#endif
     goto idle
#ifdef CLOSE
  :: me == CLOSE && !asleep_in_call -> goto close
#endif
  :: (eof || !receives) && (send_shut_down || !sends) -> goto close
  fi;

  if
  :: size = 1
  :: size = LARGEST
  fi;

look:
  progress = 0;
  if
  :: mode == start_receive || (mode != start_send && receive_pending) ->
     try_receive();
     if
     :: done -> progress = 1; receive_pending = 0; done = 0
     :: mode == start_receive && !done -> receive_pending = 1
     :: else
     fi
  :: else
  fi;
  if
  :: mode == start_send || (mode != start_receive && send_pending) ->
     try_send();
     if
     :: done -> progress = 1; send_pending = 0; done = 0
     :: mode == start_send && !done -> send_pending = 1
     :: else
     fi
  :: else
  fi;
  if
  :: mode == armed ->
     if
     :: progress -> disarm(); hot = (receive_pending || send_pending)
     :: else ->
#ifdef MUTATE_drain_after_look
        bell[me] = 0;
#endif
        hot = 0 // asleep
     fi
  :: mode != armed && progress
  :: mode != armed && !progress ->
     // wait_for_progress(), or the end of a visit: the poll task will look again, or this side goes to sleep
     if
#ifndef NO_SPIN
     :: disarm(); hot = 1
#endif
     :: mode = armed;
#ifdef MUTATE_arms_for_data_only
        arm(receive_pending, 0);
#else
        arm(receive_pending, send_pending);
#endif
#ifdef MUTATE_no_look_again
        hot = 0;
        goto idle
#else
        goto look
#endif
     fi
  fi;
  goto idle
  }
#ifdef KILL
  unless { dead[me] };
#endif

close:
  atomic {
    drained(); // the kernel's locks order what was stored before the hang-up
    finished[me] = 1;
    ghost(gone[me] = 1);
    ghost(hang_up[peer] = 1)
  }
}

#ifdef KILL
active proctype killer()
{
  if
  :: dead[0] = 1
  :: dead[1] = 1
  :: skip
  fi
}
#endif

init
{
  atomic {
    run side(0);
    run side(1);
    run clock(0);
    run clock(1);
    run core(0);
    run core(1)
  }
}

ltl every_run_ends { <> (finished[0] && finished[1]) }
