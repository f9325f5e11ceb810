// SPDX-License-Identifier: BSL-1.0
// Who may connect: the permissions of a listener's file, users who share a runtime directory, credentials.
#define BOOST_TEST_MODULE permissions
#include "child_process.hpp"
#include "socket_test.hpp"

#include <shm/peer_credentials.hpp>
#include <shm/permissions.hpp>

#include <fcntl.h>
#include <grp.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace shm::test;
using tcp = shm::stream_protocol;

namespace {

constexpr uid_t somebody = 64242; // a user with nothing

mode_t mode_of(const std::string& path)
{
  struct stat status;
  BOOST_TEST_REQUIRE(::stat(path.c_str(), &status) == 0, path);
  return status.st_mode & 07777u;
}

class scoped_umask
{
public:
  explicit scoped_umask(mode_t mask) : before_(::umask(mask)) {}
  ~scoped_umask() { ::umask(before_); }

private:
  mode_t before_;
};

tcp::acceptor listen(asio::io_context& context, const tcp::endpoint& endpoint, int mode)
{
  tcp::acceptor acceptor(context);
  acceptor.open(endpoint.protocol());
  acceptor.set_option(shm::permissions(mode));
  acceptor.bind(endpoint);
  acceptor.listen();
  return acceptor;
}

/// A directory for users who are told of it.
class shared_directory
{
public:
  shared_directory() : environment_("ASIO_SHM_DIR", directory_.path().c_str())
  {
    BOOST_TEST_REQUIRE(::chmod(directory_.path().c_str(), 01777) == 0);
  }

  std::string of(uid_t user) const { return directory_.path() + "/" + std::to_string(user); }

private:
  temp_directory directory_;
  scoped_environment environment_;
};

void become(uid_t user)
{
  if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0)
    throw std::runtime_error("cannot become another user");
}

bool can_become_others()
{
  if (::geteuid() == 0)
    return true;
  BOOST_TEST_MESSAGE("skipped: takes root to become another user");
  return false;
}

tcp::endpoint at(unsigned short port)
{
  return {asio::ip::address_v4::loopback(), port};
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(permissions, watchdog)

BOOST_AUTO_TEST_CASE(the_file_gets_the_mode_whatever_the_umask)
{
  const temp_directory directory;
  asio::io_context context;
  for (const mode_t mask : {0077u, 0022u, 0000u})
  {
    const scoped_umask umask(mask);
    for (const int mode : {0600, 0660, 0666, 0200})
    {
      const std::string path = directory.path() + "/server.sock";
      const tcp::acceptor acceptor = listen(context, path, mode);
      BOOST_TEST(mode_of(path) == static_cast<mode_t>(mode));
    }
  }
}

BOOST_AUTO_TEST_CASE(addresses_and_names_are_the_owners_alone_and_paths_follow_the_umask)
{
  const temp_directory directory;
  const scoped_environment environment("ASIO_SHM_DIR", (directory.path() + "/run").c_str());
  const scoped_umask umask(0022);
  asio::io_context context;
  const tcp::acceptor name(context, "printer");
  BOOST_TEST(mode_of(directory.path() + "/run/name/printer") == 0600u);
  const tcp::acceptor address(context, at(4711));
  BOOST_TEST(mode_of(directory.path() + "/run/ip/127.0.0.1:4711") == 0600u);
  const tcp::acceptor path(context, directory.path() + "/server.sock");
  BOOST_TEST(mode_of(directory.path() + "/server.sock") == 0755u);
}

BOOST_AUTO_TEST_CASE(wrong_values_and_late_ones_are_refused)
{
  asio::io_context context;
  tcp::acceptor acceptor(context);
  const auto set = [&](int mode) {
    error_code ec;
    acceptor.set_option(shm::permissions(mode), ec);
    return ec;
  };
  BOOST_TEST(set(0600) == asio::error::bad_descriptor);
  acceptor.open(tcp::v4());
  shm::permissions value;
  acceptor.get_option(value);
  BOOST_TEST(value.value() == 0);
  for (const int wrong : {-1, 01000, 04755, 1 << 20})
    BOOST_TEST(set(wrong) == asio::error::invalid_argument);
  BOOST_TEST(!set(0660));
  acceptor.get_option(value);
  BOOST_TEST(value.value() == 0660);
  acceptor.bind(loopback<tcp>());
  BOOST_TEST(set(0600) == asio::error::invalid_argument);
  acceptor.get_option(value);
  BOOST_TEST(value.value() == 0660);
}

BOOST_AUTO_TEST_CASE(another_user_connects_where_the_listener_lets_everybody_in)
{
  if (!can_become_others())
    return;
  const shared_directory directory;
  child_process client(
      [](channel& parent)
      {
        become(somebody);
        const auto open = parent.receive<unsigned short>();
        const auto closed = parent.receive<unsigned short>();
        asio::io_context context;
        tcp::socket socket(context);
        error_code ec;
        socket.connect(at(closed), ec);
        if (ec != asio::error::access_denied)
          return 1;
        socket.close();
        socket.connect(at(open));
        shm::peer_credentials server;
        socket.get_option(server);
        if (server.uid() != 0)
          return 2;
        char ball[4];
        for (int i = 0; i < 100; ++i)
        {
          asio::write(socket, asio::buffer("ping", 4));
          asio::read(socket, asio::buffer(ball));
        }
        return 0;
      });
  asio::io_context context;
  tcp::acceptor open = listen(context, at(0), 0666);
  const tcp::acceptor closed(context, at(0));
  BOOST_TEST(mode_of(directory.of(::geteuid())) == 0755u);
  client.peer().send(open.local_endpoint().port());
  client.peer().send(closed.local_endpoint().port());
  tcp::socket socket = open.accept();
  shm::peer_credentials peer;
  socket.get_option(peer);
  BOOST_TEST(peer.uid() == somebody);
  BOOST_TEST(peer.gid() == somebody);
  BOOST_TEST(peer.pid() == client.id());
  char ball[4];
  error_code ec;
  while (asio::read(socket, asio::buffer(ball), ec) == sizeof(ball))
    asio::write(socket, asio::buffer(ball), ec);
  BOOST_TEST(ec == asio::error::eof);
  BOOST_TEST(client.wait() == 0);
}

BOOST_AUTO_TEST_CASE(an_acceptor_turns_a_user_away_by_credentials_and_serves_the_next)
{
  if (!can_become_others())
    return;
  const shared_directory directory;
  child_process stranger(
      [](channel& parent)
      {
        become(somebody);
        const auto port = parent.receive<unsigned short>();
        asio::io_context context;
        tcp::socket socket(context);
        socket.connect(at(port));
        char byte;
        error_code ec;
        asio::read(socket, asio::buffer(&byte, 1), ec);
        return ec == asio::error::eof || ec == asio::error::connection_reset ? 0 : 1;
      });
  asio::io_context context;
  tcp::acceptor acceptor = listen(context, at(0), 0666);
  stranger.peer().send(acceptor.local_endpoint().port());
  {
    tcp::socket socket = acceptor.accept();
    shm::peer_credentials peer;
    socket.get_option(peer);
    BOOST_TEST(peer.uid() != ::geteuid());
  }
  BOOST_TEST(stranger.wait() == 0);
  tcp::socket client(context);
  client.connect(acceptor.local_endpoint());
  tcp::socket server = acceptor.accept();
  asio::write(client, asio::buffer("x", 1));
  char byte = 0;
  asio::read(server, asio::buffer(&byte, 1));
  BOOST_TEST(byte == 'x');
}

BOOST_AUTO_TEST_CASE(directories_whose_maker_was_killed_too_soon_are_opened_to_the_others)
{
  const shared_directory directory;
  const std::string own = directory.of(::geteuid());
  BOOST_TEST_REQUIRE(::mkdir(own.c_str(), 0700) == 0);
  BOOST_TEST_REQUIRE(::mkdir((own + "/ip").c_str(), 0700) == 0);
  asio::io_context context;
  {
    const tcp::acceptor closed(context, at(0));
    BOOST_TEST(mode_of(own) == 0700u);
  }
  const tcp::acceptor open = listen(context, at(0), 0660);
  BOOST_TEST(mode_of(own) == 0755u);
  BOOST_TEST(mode_of(own + "/ip") == 0755u);
  BOOST_TEST(mode_of(own + "/lock") == 0700u);
}

// Whoever can open a directory for reading can hold a lock on it.
BOOST_AUTO_TEST_CASE(nobody_can_keep_another_from_binding_and_closing)
{
  if (!can_become_others())
    return;
  const shared_directory directory;
  asio::io_context context;
  {
    const tcp::acceptor acceptor(context, at(0)); // makes the directories
  }
  child_process other(
      [own = directory.of(::geteuid())](channel& parent)
      {
        become(somebody);
        std::vector<int> held;
        for (const char* room : {"", "/ip", "/lock"})
        {
          const int fd = ::open((own + room).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
          if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0)
            held.push_back(fd);
        }
        parent.send(held.size());
        parent.receive<bool>();
        return 0;
      });
  BOOST_TEST(other.peer().receive<std::size_t>() == 2u);
  {
    const tcp::acceptor acceptor(context, at(0));
  }
  other.peer().send(true);
  BOOST_TEST(other.wait() == 0);
}

// A link there could lead to a socket that only the connector may reach, which would take it for a client of its own.
BOOST_AUTO_TEST_CASE(links_in_another_users_directory_are_not_followed)
{
  if (!can_become_others())
    return;
  const shared_directory directory;
  const temp_directory secret;
  BOOST_TEST_REQUIRE(::mkdir((secret.path() + "/ip").c_str(), 0700) == 0);
  asio::io_context context;
  tcp::acceptor only_ours = listen(context, secret.path() + "/ip/127.0.0.1:4711", 0600);
  const std::string theirs = directory.of(somebody);
  const auto try_with_link = [&](const std::string& target, const std::string& link)
  {
    BOOST_TEST_REQUIRE(::symlink(target.c_str(), link.c_str()) == 0);
    tcp::socket client(context);
    error_code ec;
    client.connect(at(4711), ec);
    BOOST_TEST(ec == asio::error::connection_refused);
    BOOST_TEST_REQUIRE(::unlink(link.c_str()) == 0);
  };
  BOOST_TEST_REQUIRE(::mkdir(theirs.c_str(), 0755) == 0);
  BOOST_TEST_REQUIRE(::chown(theirs.c_str(), somebody, somebody) == 0);
  try_with_link(secret.path() + "/ip", theirs + "/ip");
  try_with_link("ip", theirs + "/ip"); // to itself
  BOOST_TEST_REQUIRE(::mkdir((theirs + "/ip").c_str(), 0755) == 0);
  try_with_link(secret.path() + "/ip/127.0.0.1:4711", theirs + "/ip/127.0.0.1:4711");
  only_ours.non_blocking(true);
  error_code ec;
  only_ours.accept(ec);
  BOOST_TEST(ec == asio::error::would_block);
}

BOOST_AUTO_TEST_CASE(a_users_own_listener_comes_first_and_nobody_can_take_its_name)
{
  if (!can_become_others())
    return;
  const shared_directory directory;
  // Has the same endpoint, and lets everybody in.
  child_process other(
      [](channel& parent)
      {
        become(somebody);
        asio::io_context context;
        tcp::acceptor acceptor = listen(context, at(4711), 0666);
        parent.send(true);
        tcp::socket socket = acceptor.accept();
        asio::write(socket, asio::buffer("o", 1));
        parent.receive<bool>();
        return 0;
      });
  other.peer().receive<bool>();
  asio::io_context context;
  char byte = 0;
  {
    tcp::acceptor own(context, at(4711));
    tcp::socket client(context);
    client.connect(at(4711));
    tcp::socket server = own.accept();
    asio::write(server, asio::buffer("m", 1));
    asio::read(client, asio::buffer(&byte, 1));
    BOOST_TEST(byte == 'm');
  }
  tcp::socket client(context);
  client.connect(at(4711));
  asio::read(client, asio::buffer(&byte, 1));
  BOOST_TEST(byte == 'o');
  shm::peer_credentials server;
  client.get_option(server);
  BOOST_TEST(server.uid() == somebody);
  other.peer().send(true);
  BOOST_TEST(other.wait() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
