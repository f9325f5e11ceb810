// SPDX-License-Identifier: BSL-1.0
// The link between the daemons of two partitions (src/partitiond/link.hpp): epochs, and a mailbox of one message for
// each direction. Each side may drop the link RESTARTS times, whenever it likes: as when it is restarted, or thinks that
// the other one has died. MESSAGES are sent by each.
//
// Every store is a release, every load an acquire, and nothing depends on the order of a store and a later load of one
// side: what comes late may as well have been stored late. So stores are seen at once here.

#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif

#define WORDS 5
#define MEMORY (2 * WORDS)
#define epoch_of(side) (WORDS * (side))
#define seen_of(side) (WORDS * (side) + 1)
#define sent_of(side) (WORDS * (side) + 2)
#define received_of(side) (WORDS * (side) + 3)
#define slot_of(side) (WORDS * (side) + 4)

byte mem[MEMORY];
#define store_release(address, value) mem[address] = value

bool up[2];

inline drop()
{
  up[me] = 0;
  seen = 0;
  sent = 0;
  received = 0;
  taken = 0;
#ifndef MUTATE_keeps_epoch
  epoch++;
#endif
#ifdef MUTATE_epoch_before_numbers
  store_release(epoch_of(me), epoch);
#endif
#ifndef MUTATE_keeps_seen
  store_release(seen_of(me), 0);
#endif
  store_release(sent_of(me), 0);
  store_release(received_of(me), 0);
#ifndef MUTATE_epoch_before_numbers
  store_release(epoch_of(me), epoch)
#endif
}

inline update()
{
#ifdef MUTATE_epoch_before_seen
  theirs = mem[epoch_of(1 - me)];
  seen_by_them = (mem[seen_of(1 - me)] == epoch);
#else
  seen_by_them = (mem[seen_of(1 - me)] == epoch);
  theirs = mem[epoch_of(1 - me)];
#endif
  if
  :: up[me] && seen_by_them && theirs == seen -> skip
#ifdef MUTATE_stays_up
  :: up[me] && !(seen_by_them && theirs == seen) -> seen = theirs; store_release(seen_of(me), seen)
#else
  :: up[me] && !(seen_by_them && theirs == seen) -> drop()
#endif
  :: !up[me] ->
     if
     :: theirs != seen ->
        seen = theirs;
        store_release(seen_of(me), seen)
#ifdef MUTATE_up_at_first_sight
        ;
        up[me] = seen_by_them
#endif
     :: else -> up[me] = (seen_by_them && seen != 0)
     fi
  fi;
  theirs = 0;
  seen_by_them = 0
}

inline send()
{
  taken = mem[received_of(1 - me)];
  if
  :: sent == taken ->
     store_release(slot_of(me), seen);
     sent++;
     store_release(sent_of(me), sent);
     messages--
  :: else
  fi;
  taken = 0
}

inline receive()
{
  theirs = mem[sent_of(1 - me)];
  if
  :: theirs > received ->
     // Whoever sent it meant this epoch, and no other.
     assert(mem[slot_of(1 - me)] == epoch);
     received++;
     store_release(received_of(me), received)
  :: else
  fi;
  theirs = 0
}

proctype side(byte me)
{
  byte epoch = 10 * me, seen, sent, received, taken, theirs;
  byte restarts = RESTARTS, messages = MESSAGES;
  bool seen_by_them;
  drop();
  // As the daemon does: it looks, takes what has come, and sends what it has.
  do
  :: update();
     if
     :: up[me] -> receive()
     :: else
     fi;
     if
     :: up[me] && messages > 0 -> send()
     :: restarts > 0 -> restarts--; drop()
     :: skip
     fi
  od
}

init
{
  atomic {
    run side(0);
    run side(1)
  }
}

ltl comes_up_and_stays { <> [] (up[0] && up[1]) }
