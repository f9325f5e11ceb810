// SPDX-License-Identifier: BSL-1.0
// The poll role of reactor_core: who pushes a completed operation, who polls, who takes a break, and who posts the task.
//
// Names are those of src/reactor_core.cpp, include/shm/detail/reactor_service.hpp and operation.hpp. What is done under
// the mutex is one step, but where others look at active_ or the inbox without it. Sequentially consistent accesses are
// plain steps; the relaxed load in operation_inbox::take_all() may miss what is there, MISSES times.

#ifndef THREADS
#define THREADS 2
#endif
#ifndef PUSHERS
#define PUSHERS 2
#endif
#ifndef ARRIVALS
#define ARRIVALS 2
#endif
#ifndef MISSES
#define MISSES 1
#endif
#ifndef BREAKS
#define BREAKS 1
#endif

// reactor_core; not modelled: debt_, which only makes the task be posted more often
bool mutex_;
byte inbox_; // operations in it
bool active_, news_;
byte ready_;
bool polling_, posted_, epoll_readable_;
bool incoming_, listed; // the one socket: to be put on the hot list, and on it
bool look_;
byte misses = MISSES, breaks = BREAKS;

// the kernel and the scheduler
byte queue;            // poll tasks in the scheduler's queue
bool edge;             // the epoll instance became readable, and the scheduler's reactor has not seen it yet
bool rung, timer_due;  // events in the epoll instance
bool timer;            // is set

// the socket
bool pending, hot_, asleep;
byte data;             // messages that are there
byte starts = ARRIVALS;
byte delivered;        // handlers called

// To be called with the mutex held.
inline claim_post()
{
  if
  :: polling_ || posted_
  :: else -> posted_ = 1; active_ = 1; post = 1
  fi
}

inline post_poll_task()
{
  if
  :: atomic { post -> post = 0; queue++; assert(queue == 1) }
  :: else
  fi
}

// operation_inbox::push() and what reactor_core::push_ready() does behind it
inline push_ready()
{
#ifdef MUTATE_active_looked_at_before_push
  seen = active_;
  inbox_++;
#else
  inbox_++;
  seen = active_;
#endif
#ifdef MUTATE_push_does_not_post
  seen = 1;
#endif
  if
  :: atomic { seen -> seen = 0 }
  :: atomic { !seen && !mutex_ -> claim_post() }; post_poll_task()
  fi
}

inline add_hot()
{
  atomic {
    !mutex_;
    incoming_ = 1;
#ifndef MUTATE_add_hot_without_news
    news_ = 1;
#endif
#ifndef MUTATE_add_hot_does_not_post
    claim_post()
#endif
  };
  post_poll_task()
}

inline epoll_readable()
{
  atomic {
    !mutex_;
    epoll_readable_ = 1;
    news_ = 1;
#ifndef MUTATE_edge_does_not_post
    claim_post()
#endif
  };
  post_poll_task()
}

// socket_core::wake(); stream.pml shows that the other side rings who is asleep
inline wake()
{
  if
  :: atomic { pending && !hot_ -> asleep = 0; hot_ = 1 }; add_hot()
  :: atomic { else -> asleep = 0 }
  fi
}

// A program that starts its next read: done at once, or pending.
inline start_receive()
{
  if
  :: atomic { !pending && starts > 0 && data > 0 -> starts--; data-- }; push_ready()
  :: atomic { !pending && starts > 0 && data == 0 -> starts--; pending = 1 }; wake()
  :: pending || starts == 0
  fi
}

inline take_ready()
{
  op = 0;
  if
  :: atomic { inbox_ == 0 }
  :: atomic { inbox_ > 0 -> taken = inbox_; inbox_ = 0 }
  :: atomic { inbox_ > 0 && misses > 0 -> misses-- }
  fi;
  older = news_;
  if
  :: atomic { taken < 2 && !older -> op = taken; taken = 0 }
  :: atomic {
       (taken >= 2 || older) && !mutex_ ->
       if
       :: !older -> op = 1; taken--
       :: else
       fi;
       ready_ = ready_ + taken;
       taken = 0;
       older = 0;
       if
       :: !op && ready_ > 0 -> op = 1; ready_--
       :: else
       fi;
#ifndef MUTATE_ready_without_news
       if
       :: ready_ > 0 -> news_ = 1
       :: else
       fi;
#endif
#ifndef MUTATE_leftovers_do_not_post
       if
       :: ready_ > 0 -> claim_post()
       :: else
       fi;
#endif
       // the handler that runs next may wait for what is left
       assert(ready_ == 0 || polling_ || posted_)
     };
     post_poll_task()
  fi;
  older = 0
}

inline drain_epoll()
{
  if
  :: atomic { rung || timer_due -> timer_due = 0; drain = rung; rung = 0 };
     if
     :: atomic { drain -> drain = 0 }; wake()
     :: else
     fi
  :: else
  fi
}

inline take_news()
{
  atomic {
    !mutex_;
    drain = epoll_readable_;
    epoll_readable_ = 0
  };
  if
  :: atomic { drain -> drain = 0 }; drain_epoll()
  :: else
  fi;
  atomic {
    !mutex_;
    listed = listed || incoming_;
    incoming_ = 0;
#ifdef MUTATE_news_forgets_ready
    news_ = 0
#else
    news_ = (ready_ > 0 || epoll_readable_)
#endif
  }
}

// The one socket; the mutex of the socket makes a visit one step.
inline visit_hot()
{
  op = 0;
  if
  :: atomic { pending && data > 0 -> pending = 0; data--; op = 1 }
  :: atomic { pending && data == 0 } // waiting
  :: atomic { pending && data == 0 -> asleep = 1; hot_ = 0; listed = 0 }
  :: atomic { !pending -> hot_ = 0; listed = 0 }
  fi
}

// Steps of their own, with the mutex held: push_ready() looks at active_ without it.
inline begin_polling()
{
  atomic { !mutex_ -> mutex_ = 1; posted_ = 0 };
  holding = 0;
  if
  :: polling_
  :: !polling_ -> holding = 1
  :: !polling_ && breaks > 0 && listed && !epoll_readable_ && ready_ == 0 && !incoming_ && inbox_ == 0 ->
     // takes_a_break()
     active_ = 0;
     if
     :: inbox_ > 0 -> active_ = 1; holding = 1
     :: else ->
        breaks--;
#ifndef MUTATE_break_without_timer
        timer = 1
#endif
     fi
  fi;
  atomic { polling_ = polling_ || holding; look_ = look_ || holding; mutex_ = 0 }
}

inline end_polling()
{
  atomic { !mutex_ -> mutex_ = 1 };
#ifdef MUTATE_inbox_looked_at_before_active
  seen = (inbox_ > 0);
#endif
  atomic {
    if
    :: holding -> polling_ = 0
    :: else
    fi;
    active_ = polling_ || posted_
  };
#ifndef MUTATE_inbox_looked_at_before_active
#ifndef MUTATE_end_without_recheck
  seen = (inbox_ > 0);
#endif
#endif
  atomic {
    post = !posted_ && ((holding && (epoll_readable_ || listed)) || (!polling_ && (ready_ > 0 || incoming_ || seen)));
    if
    :: post -> posted_ = 1; active_ = 1
    :: else
    fi;
    seen = 0;
    holding = 0;
    mutex_ = 0
  };
  post_poll_task()
}

proctype thread()
{
  bool post, seen, holding, older, drain;
  byte op, taken;
end:
  do
  :: atomic { edge -> edge = 0 }; epoll_readable()
  :: atomic { queue > 0 -> queue-- };
     begin_polling();
     if
     :: !holding
     :: else ->
poll:
        // reactor_core::poll()
        if
        :: news_ -> take_news()
        :: else
        fi;
        if
        :: atomic { look_ -> look_ = 0; op = 0 }
        :: else -> take_ready()
        fi;
        if
        :: op > 0
        :: op == 0 && !listed -> take_ready()
        :: op == 0 && listed ->
           visit_hot();
           if
           :: op == 0 -> goto poll
           :: op == 0 // the deadline
           :: op > 0
           fi
        fi;
        if
        :: op > 0 ->
           // pause_polling()
           atomic {
             !mutex_;
             polling_ = 0;
             holding = 0;
#ifndef MUTATE_pause_does_not_post
             claim_post()
#endif
           };
           post_poll_task();
           do
           :: atomic { delivered++; op = 0 };
              start_receive(); // the handler
              if
              :: break // the end of its slice
              :: take_ready();
                 if
                 :: op > 0
                 :: else -> break
                 fi
              fi
           od;
           // resume_polling(), if the slice has not ended
           if
           :: atomic { !mutex_ && !polling_ -> polling_ = 1; holding = 1 }; goto poll
           :: polling_
           :: true
           fi
        :: else
        fi;
        end_polling()
     fi
  od
}

proctype pusher()
{
  bool post, seen;
  push_ready()
}

proctype program()
{
  bool post, seen;
  start_receive()
}

proctype the_peer()
{
  byte left = ARRIVALS;
  do
  :: atomic {
       left > 0 ->
       left--;
       data++;
       if
       :: asleep && !rung -> rung = 1; edge = 1
       :: else
       fi
     }
  :: left == 0 -> break
  od
}

proctype timerfd()
{
end:
  do
  :: atomic { timer -> timer = 0; timer_due = 1; edge = 1 }
  od
}

// Nothing can happen any more: then every operation must have been delivered.
proctype observer()
{
end:
  timeout;
  assert(delivered == PUSHERS + ARRIVALS);
  assert(inbox_ == 0 && ready_ == 0 && queue == 0 && !posted_ && !polling_ && !active_ && !mutex_)
}

init
{
  byte i;
  atomic {
    for (i : 1 .. THREADS) {
      run thread()
    }
    for (i : 1 .. PUSHERS) {
      run pusher()
    }
    run program();
    run the_peer();
    run timerfd();
    run observer()
  }
}

ltl all_delivered { <> (delivered == PUSHERS + ARRIVALS) }
