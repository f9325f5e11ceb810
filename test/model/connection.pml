// SPDX-License-Identifier: BSL-1.0
// What one side does with the rings and wait words: the functions of ring_reader, ring_writer and connection.

// connection::ring_sleeper()
inline ring_sleeper(wait_word, rung)
{
#ifndef MUTATE_no_fence_in_ring_sleeper
  drained();
#endif
  yield();
  word = mem[wait_word];
  if
#ifdef MUTATE_no_rung_memory
  :: odd(word) ->
#else
  :: odd(word) && word != rung ->
#endif
     yield();
     assert(word != rung); // one sleep costs one ring
     rung = word;
     bell[peer] = 1
  :: else
  fi;
  word = 0
}

// connection::arm()
#if defined(MUTATE_same_odd_value)
#define fresh_odd(word) word = 1
#elif defined(MUTATE_rearm_keeps_value)
#define fresh_odd(word) word = (odd(word) -> word : word + 1)
#else
#define fresh_odd(word) word = (odd(word) -> word + 2 : word + 1)
#endif
#if defined(MUTATE_same_odd_value)
#define even(word) word = 0
#else
#define even(word) word = word + 1
#endif

inline arm(receive, send)
{
  if
  :: receive -> fresh_odd(reader_wait_); store_relaxed(reader_wait(in), reader_wait_)
  :: else
  fi;
  if
  :: send -> fresh_odd(writer_wait_); store_relaxed(writer_wait(out), writer_wait_)
  :: else
  fi;
#ifndef MUTATE_no_fence_in_arm
  drained()
#endif
}

// connection::disarm()
inline disarm()
{
#ifndef MUTATE_no_disarm
  if
  :: odd(reader_wait_) -> even(reader_wait_); store_relaxed(reader_wait(in), reader_wait_)
  :: else
  fi;
  if
  :: odd(writer_wait_) -> even(writer_wait_); store_relaxed(writer_wait(out), writer_wait_)
  :: else
  fi
#else
  skip
#endif
}

// ring_reader::end_of_oldest(). The checks are assertions: between correct programs nothing is ever corrupted.
inline end_of_oldest()
{
  yield();
  assert(mem[end_of(in, r_oldest)] >= r_end && mem[end_of(in, r_oldest)] <= r_limit);
  r_end = mem[end_of(in, r_oldest)]
}

inline check_newest()
{
  yield();
  assert(mem[newest(in)] >= r_newest && mem[newest(in)] - r_oldest < SEGMENT_COUNT);
  r_newest = mem[newest(in)]
}

inline enter_next_segment()
{
  assert(r_position == r_limit); // a segment is left only when it is full
  r_oldest++;
  r_end = r_limit;
  r_limit = r_limit + SEGMENT_SIZE;
#ifdef HANG_UP
  store_relaxed(begin_of(in, r_oldest), r_position);
#endif
  store_release(oldest(in), r_oldest);
#ifdef MUTATE_oldest_before_copy
  // The load of the last byte is satisfied after the store of oldest.
  yield();
  assert(mem[data_at(in, r_position - 1)] == r_position);
#endif
  freed = 1
}

// ring_reader::leave_segment(); left: whether there is more
inline leave_segment()
{
  left = 0;
#if defined(MUTATE_leaves_without_newest)
  if
  :: r_position == r_limit -> enter_next_segment(); left = 1
  :: else -> check_newest()
  fi
#elif defined(MUTATE_no_acquire_of_newest)
  // The second look at end is satisfied before the look at newest.
  end_of_oldest();
  if
  :: r_newest == r_oldest -> check_newest()
  :: else
  fi;
  if
  :: r_newest == r_oldest -> left = (r_position != r_end)
  :: r_newest != r_oldest && r_position != r_end -> left = 1
  :: else -> enter_next_segment(); left = 1
  fi
#else
  if
  :: r_newest == r_oldest -> check_newest()
  :: else
  fi;
  if
  :: r_newest == r_oldest
  :: else ->
     left = 1;
#ifndef MUTATE_no_second_look_at_end
     end_of_oldest();
#endif
     if
     :: r_position != r_end
     :: else -> enter_next_segment()
     fi
  fi
#endif
}

// ring_reader::read() and what connection::receive_some() does behind it
inline receive_some()
{
  total = 0;
  do
  :: total == size -> break
  :: else ->
#ifdef MUTATE_no_acquire_of_end
     yield();
     early = mem[data_at(in, r_position)]; // the load of the data is satisfied before the load of end
#endif
     end_of_oldest();
     do
     :: r_position == r_end ->
        leave_segment();
        if
        :: left -> end_of_oldest()
        :: else -> break
        fi
     :: else -> break
     od;
     if
     :: r_position == r_end -> break
     :: else
     fi;
     do
     :: total < size && r_position < r_end ->
#ifdef MUTATE_no_acquire_of_end
        assert(early == r_position + 1);
        early = mem[data_at(in, r_position + 1)];
#else
        yield();
#ifdef MUTATE_oldest_before_copy
        assert(r_position + 1 == r_limit || mem[data_at(in, r_position)] == r_position + 1);
#else
        assert(mem[data_at(in, r_position)] == r_position + 1); // nothing lost, nothing repeated
#endif
#endif
        r_position++;
        ghost(copied[in] = r_position);
        total++
     :: else -> break
     od;
#ifdef HANG_UP
     store_release(begin_of(in, r_oldest), r_position);
#endif
     if
     :: r_position == r_limit -> leave_segment()
     :: else
     fi
  od;
#ifdef MUTATE_no_acquire_of_end
  early = 0;
#endif
  left = 0;
  if
  :: freed ->
     freed = 0;
#ifndef MUTATE_freed_not_told
     ring_sleeper(writer_wait(in), writer_wait_rung)
#endif
  :: else
  fi;
  ghost(received[in] = r_position)
}

#ifdef HANG_UP
#define end_of_stream_found() \
  assert(r_position >= sent[in] && (hung_up || r_position == (me == 0 -> BYTES_1 : BYTES_0)))
#else
#define end_of_stream_found() assert(r_position == (me == 0 -> BYTES_1 : BYTES_0))
#endif

// connection::try_receive()
inline try_receive()
{
  receive_some();
  if
  :: total > 0 -> done = 1
  :: else ->
     yield();
     if
     :: hung_up || mem[shut_down(in)] ->
#ifndef MUTATE_no_second_look_at_eof
        receive_some();
#endif
        if
        :: total > 0
        :: else -> eof = 1; end_of_stream_found()
        fi;
        done = 1
     :: else
     fi
  fi;
  total = 0
}

// ring_writer::write(), and what connection::try_send() does behind it; shutdown_send() after the last byte
inline try_send()
{
  total = 0;
  if
  :: hung_up -> send_shut_down = 1; done = 1 // broken_pipe or connection_reset
  :: else ->
     if
     :: position == to_send ->
#ifdef MUTATE_shut_down_relaxed
        store_relaxed(shut_down(out), 1);
#else
        store_release(shut_down(out), 1);
#endif
        send_shut_down = 1;
        total = 1
     :: else ->
        do
        :: total == size || position == to_send -> break
        :: else ->
           next = (position == limit);
           if
           :: next && w_newest - w_oldest + 1 >= SEGMENT_COUNT ->
              yield();
              assert(mem[oldest(out)] >= w_oldest && mem[oldest(out)] <= w_newest);
              w_oldest = mem[oldest(out)]
           :: else
           fi;
           if
           :: next && w_newest - w_oldest + 1 >= SEGMENT_COUNT -> next = 0; break
           :: else
           fi;
           if
           :: next -> w_newest++; limit = limit + SEGMENT_SIZE
           :: else
           fi;
#ifdef MUTATE_end_before_data
           store_release(end_of(out, w_newest), position + 1);
#endif
           // One byte: a larger piece only makes end jump over values that could have been skipped anyway.
           store_data(data_at(out, position), position + 1);
           position++;
           total++;
           if
           :: total < size && position < limit && position < to_send ->
              store_data(data_at(out, position), position + 1);
              position++;
              total++
           :: else
           fi;
#if defined(NON_TEMPORAL) && !defined(MUTATE_no_store_fence)
           drained();
#endif
#ifdef MUTATE_newest_before_end
           if
           :: next -> store_release(newest(out), w_newest)
           :: else
           fi;
           store_release(end_of(out, w_newest), position);
#else
#ifdef MUTATE_end_relaxed
           store_relaxed(end_of(out, w_newest), position);
#elif !defined(MUTATE_end_before_data)
           store_release(end_of(out, w_newest), position);
#endif
           if
#ifdef MUTATE_newest_relaxed
           :: next -> store_relaxed(newest(out), w_newest)
#else
           :: next -> store_release(newest(out), w_newest)
#endif
           :: else
           fi;
#endif
           next = 0
        od
     fi;
     if
     :: total > 0 ->
#ifdef MUTATE_shutdown_not_told
        if
        :: send_shut_down
        :: else -> ring_sleeper(reader_wait(out), reader_wait_rung)
        fi;
#else
        ring_sleeper(reader_wait(out), reader_wait_rung);
#endif
        ghost(sent[me] = position);
        done = 1
     :: else
     fi
  fi;
  total = 0
}

// connection::latch_hang_up() with ring_writer::unread()
inline latch_hang_up()
{
#if defined(HANG_UP) && !defined(MUTATE_hang_up_not_latched)
  hung_up = 1;
  if
  :: sends ->
     yield();
     word = mem[oldest(out)];
     yield();
     // Without an error: everything was read. With connection_reset: it was not.
     assert(mem[begin_of(out, word)] != position || copied[out] == position);
     assert(mem[begin_of(out, word)] == position || received[out] != position);
     word = 0
  :: else
  fi
#else
  skip
#endif
}
