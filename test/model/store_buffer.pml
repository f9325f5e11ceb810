// SPDX-License-Identifier: BSL-1.0
// Shared memory as the two sides of a connection see it: stores wait in a buffer of their side, loads do not.
//
// Default: x86-TSO. NON_TEMPORAL: the same, with data stores that any other store may overtake. WEAK: the C++ orders;
// a release store waits for all earlier stores of its side, a relaxed one only for those to the same word.
// A side never loads a word that it writes itself, so there is no forwarding from the buffer.

#ifndef DEPTH
#define DEPTH 6
#endif

byte mem[MEMORY];

typedef store_buffer {
  byte n;
  byte at[DEPTH];
  byte value[DEPTH];
#if defined(WEAK) || defined(NON_TEMPORAL)
  bool weak[DEPTH];
#endif
}
store_buffer stores[2];

#if defined(WEAK) || defined(NON_TEMPORAL)
#define note_kind(w) stores[me].weak[stores[me].n] = w
#else
#define note_kind(w) skip
#endif

inline put(address, v, w)
{
  yield_before_store();
  d_step {
    stores[me].n < DEPTH;
    stores[me].at[stores[me].n] = address;
    stores[me].value[stores[me].n] = v;
    note_kind(w);
    stores[me].n++
  }
}

#if defined(WEAK)
#define store_release(a, v) put(a, v, 0)
#define store_relaxed(a, v) put(a, v, 1)
#define store_data(a, v) put(a, v, 1)
#elif defined(NON_TEMPORAL)
#define store_release(a, v) put(a, v, 0)
#define store_relaxed(a, v) put(a, v, 0)
#define store_data(a, v) put(a, v, 1)
#else
#define store_release(a, v) put(a, v, 0)
#define store_relaxed(a, v) put(a, v, 0)
#define store_data(a, v) put(a, v, 0)
#endif

// full_fence(), and what the kernel does before others can see the effect of a system call.
#define drained() (stores[me].n == 0)

inline reach_memory(k)
{
  mem[stores[me].at[k]] = stores[me].value[k];
  j = k;
  do
  :: j + 1 < stores[me].n ->
     stores[me].at[j] = stores[me].at[j + 1];
     stores[me].value[j] = stores[me].value[j + 1];
#if defined(WEAK) || defined(NON_TEMPORAL)
     stores[me].weak[j] = stores[me].weak[j + 1];
#endif
     j++
  :: else -> break
  od;
  stores[me].n--;
  stores[me].at[stores[me].n] = 0;
  stores[me].value[stores[me].n] = 0;
#if defined(WEAK) || defined(NON_TEMPORAL)
  stores[me].weak[stores[me].n] = 0;
#endif
  j = 0
}

#if defined(WEAK)
#define may_overtake(earlier, later) \
  (stores[me].weak[later] && stores[me].at[earlier] != stores[me].at[later])
#elif defined(NON_TEMPORAL)
#define may_overtake(earlier, later) \
  ((stores[me].weak[later] || stores[me].weak[earlier]) && stores[me].at[earlier] != stores[me].at[later])
#endif

proctype core(byte me)
{
  byte j;
end:
  do
  :: d_step { stores[me].n > 0 -> reach_memory(0) }
#if defined(WEAK) || defined(NON_TEMPORAL)
  :: d_step { stores[me].n > 1 && may_overtake(0, 1) -> reach_memory(1) }
  :: d_step { stores[me].n > 2 && may_overtake(0, 2) && may_overtake(1, 2) -> reach_memory(2) }
  :: d_step {
       stores[me].n > 3 && may_overtake(0, 3) && may_overtake(1, 3) && may_overtake(2, 3) -> reach_memory(3)
     }
#endif
  od
}
