// SPDX-License-Identifier: BSL-1.0
// What a forked child may do with what it inherits, and what it cannot do to its parent.
#define BOOST_TEST_MODULE forked_contexts
#include "forked_context.hpp"

#include <shm/busy_poll.hpp>
#include <shm/doorbell.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

// Longer than any test: a connection that stays hot. Or none: one that sleeps at once.
constexpr int hot = 1'000'000;
constexpr int cold = 0;

/// Operations of every kind, pending in one context; the other ends of them are in another one.
struct pending_operations
{
  pending_operations(asio::io_context& context, asio::io_context& others, int busy_poll, bool socket_doorbell)
    : reading(context),
      waiting(context),
      writing(context),
      acceptor(context, loopback<tcp>()),
      accepted_socket(context),
      reader_peer(others),
      waiter_peer(others),
      writer_peer(others)
  {
    shm::set_busy_poll(context, shm::busy_poll(busy_poll));
    tcp::acceptor made(others, loopback<tcp>());
    for (auto [mine, peer] : {std::make_pair(&reading, &reader_peer), std::make_pair(&waiting, &waiter_peer),
             std::make_pair(&writing, &writer_peer)})
    {
      mine->open(tcp::v4());
      mine->set_option(shm::socket_doorbell(socket_doorbell));
      mine->set_option(tcp::socket::send_buffer_size(1 << 16));
      mine->connect(made.local_endpoint());
      made.accept(*peer);
    }
    asio::async_read(reading, asio::buffer(got), read.handler());
    waiting.async_wait(tcp::socket::wait_read, waited.handler());
    asio::async_write(writing, asio::buffer(much), written.handler());
    acceptor.async_accept(accepted_socket, accepted.handler());
    context.run_for(std::chrono::milliseconds(5));
  }

  int done() const { return read.calls + waited.calls + written.calls + accepted.calls; }
  bool right() const
  {
    return got == "hello" && !read.ec && !waited.ec && !written.ec && !accepted.ec && written.bytes == much.size();
  }
  bool aborted() const
  {
    const error_code expected = error::operation_aborted;
    return read.ec == expected && waited.ec == expected && written.ec == expected && accepted.ec == expected;
  }

  void close()
  {
    reading.close();
    waiting.close();
    writing.close();
    acceptor.close();
  }

  /// What the other ends have to do, from a process that has them.
  void feed()
  {
    asio::write(reader_peer, asio::buffer("hello", 5));
    asio::write(waiter_peer, asio::buffer("x", 1));
    std::vector<unsigned char> bytes(much.size());
    asio::read(writer_peer, asio::buffer(bytes));
    BOOST_TEST((bytes == much));
    tcp::socket next(reader_peer.get_executor());
    next.connect(acceptor_endpoint);
  }

  const std::vector<unsigned char> much = pattern(8).bytes(300'000);
  tcp::socket reading, waiting, writing;
  tcp::acceptor acceptor;
  const tcp::endpoint acceptor_endpoint = acceptor.local_endpoint();
  tcp::socket accepted_socket;
  tcp::socket reader_peer, waiter_peer, writer_peer;
  std::string got = std::string(5, '\0');
  completion read, waited, written, accepted;
};

template <class Test>
void for_each_temperature(Test test)
{
  for (const int busy_poll : {cold, hot})
    for (const bool socket_doorbell : {false, true})
      BOOST_TEST_CONTEXT((busy_poll == hot ? "hot" : "cold") << (socket_doorbell ? ", socket" : ", eventfd"))
      test(busy_poll, socket_doorbell);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(forked_contexts, watchdog)

BOOST_AUTO_TEST_CASE(pending_operations_complete_in_the_parent_when_the_child_closes_its_copies)
{
  for_each_temperature(
      [](int busy_poll, bool socket_doorbell)
      {
        asio::io_context context, others;
        pending_operations ops(context, others, busy_poll, socket_doorbell);
        BOOST_TEST(ops.done() == 0);
        const auto child = fork_with(context,
            [&](channel&)
            {
              ops.close();
              return runs_until(context, [&] { return ops.done() == 4; }) && ops.aborted();
            });
        BOOST_TEST(child->wait() == 0);
        BOOST_TEST(ops.done() == 0);
        std::thread feeding([&] { ops.feed(); });
        run_until(context, [&] { return ops.done() == 4; });
        feeding.join();
        BOOST_TEST(ops.right());
      });
}

BOOST_AUTO_TEST_CASE(pending_operations_complete_in_the_child_when_the_parent_closes_its_copies)
{
  for_each_temperature(
      [](int busy_poll, bool socket_doorbell)
      {
        asio::io_context context, others;
        pending_operations ops(context, others, busy_poll, socket_doorbell);
        const auto child = fork_with(context,
            [&](channel& parent)
            {
              parent.receive<char>(); // the copies of the parent are closed
              return runs_until(context, [&] { return ops.done() == 4; }) && ops.right();
            });
        ops.close();
        run_until(context, [&] { return ops.done() == 4; });
        BOOST_TEST(ops.aborted());
        child->peer().send('c');
        ops.feed();
        BOOST_TEST(child->wait() == 0);
      });
}

// Nor does it matter how the child goes: it calls no notify_fork.
BOOST_AUTO_TEST_CASE(a_child_that_goes_takes_nothing_from_its_parent)
{
  enum way { leaves, is_killed, closes, destroys_the_context };
  for (const way how : {leaves, is_killed, closes, destroys_the_context})
    for_each_temperature(
        [how](int busy_poll, bool socket_doorbell)
        {
          BOOST_TEST_CONTEXT("way " << how)
          {
            asio::io_context others;
            auto context = std::make_unique<asio::io_context>();
            auto ops = std::make_unique<pending_operations>(*context, others, busy_poll, socket_doorbell);
            child_process child(
                [&](channel&)
                {
                  if (how == is_killed)
                    ::raise(SIGKILL);
                  if (how == closes || how == destroys_the_context)
                    ops->close();
                  if (how == destroys_the_context)
                  {
                    ops.reset();
                    context.reset();
                  }
                  return 0;
                });
            BOOST_TEST(child.wait() == (how == is_killed ? -1 : 0));
            std::thread feeding([&] { ops->feed(); });
            run_until(*context, [&] { return ops->done() == 4; });
            feeding.join();
            BOOST_TEST(ops->right());
          }
        });
}

// A child with a context of its own goes on beside its parent, whose doorbells it has too: each ring wakes the one that
// it is for.
BOOST_AUTO_TEST_CASE(parent_and_child_play_at_the_same_time)
{
  for (const int busy_poll : {cold, 50})
  {
    child_process server(&echo_server);
    const auto port = server.peer().receive<unsigned short>();
    asio::io_context context;
    shm::set_busy_poll(context, shm::busy_poll(busy_poll));
    player first(context, port, many_rounds), second(context, port, many_rounds);
    first.start();
    second.start();
    context.run_for(std::chrono::milliseconds(1)); // in the midst of it
    child_process stranger(
        [&](channel&)
        {
          asio::io_context own;
          shm::set_busy_poll(own, shm::busy_poll(busy_poll));
          player third(own, port, many_rounds);
          third.start();
          return runs_until(own, [&] { return third.over(); }) && third.won() ? 0 : 1;
        });
    // The context is one for both from here on; each has its own connections.
    const auto heir = fork_with(context,
        [&](channel&)
        {
          first.socket().close();
          player third(context, port, many_rounds);
          third.start();
          return runs_until(context, [&] { return second.over() && third.over(); }) && second.won() && third.won();
        });
    second.socket().close();
    run_until(context, [&] { return first.over(); });
    BOOST_TEST(first.won());
    BOOST_TEST(stranger.wait() == 0);
    BOOST_TEST(heir->wait() == 0);
  }
}

BOOST_AUTO_TEST_CASE(the_peer_sees_the_end_with_the_last_copy)
{
  asio::io_context context, others;
  for (const bool parent_first : {false, true})
  {
    connected_pair<tcp> pair(context, others);
    const auto child = fork_with(context,
        [&](channel& parent)
        {
          pair.server.close(); // the peer's end, which is the parent's alone
          if (parent_first)
          {
            parent.receive<char>();
            asio::write(pair.client, asio::buffer("last", 4));
          }
          pair.client.close();
          return true;
        });
    if (parent_first)
    {
      pair.client.close();
      child->peer().send('c');
    }
    else
    {
      BOOST_TEST(child->wait() == 0);
      asio::write(pair.client, asio::buffer("last", 4));
    }
    std::string got(4, '\0');
    asio::read(pair.server, asio::buffer(got));
    BOOST_TEST(got == "last");
    if (parent_first)
      BOOST_TEST(child->wait() == 0);
    else
      pair.client.close();
    reports(error::eof, [&](auto&... ec) { asio::read(pair.server, asio::buffer(got), ec...); });
  }
}

BOOST_AUTO_TEST_SUITE_END()
