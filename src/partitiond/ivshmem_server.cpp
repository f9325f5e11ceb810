// SPDX-License-Identifier: BSL-1.0
// Serving the region.
#include "ivshmem_server.hpp"

#include "doorbell.hpp"
#include "file_lock.hpp"
#include "ivshmem_message.hpp"
#include "log.hpp"
#include "shared_eventfd.hpp"
#include "untrusted.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace shm {
namespace partitiond {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using detail::descriptor;
using detail::last_error;

// While the kernel has too many descriptors in flight for this user.
constexpr std::chrono::milliseconds retry_pause{10};

// Between two looks at the region's header, which every partition can write to.
constexpr std::chrono::seconds header_interval{1};

std::uint64_t random_number()
{
  std::random_device random;
  const std::uint64_t result = std::uint64_t{random()} << 32 | random();
  return result != 0 ? result : 1;
}

descriptor open_folder_of(const std::string& path, error_code& ec)
{
  const std::size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  descriptor result(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ec = result.valid() ? error_code() : last_error();
  return result;
}

} // namespace

ivshmem_server::ivshmem_server(asio::io_context& context, const settings& wanted, error_code& ec)
  : context_(context), wanted_(wanted), header_timer_(context), acceptor_(context)
{
  listen(ec); // first: who is there already has a region of its own
  if (!ec)
    make_region(ec);
  if (!ec)
    accept();
  if (!ec)
    keep_header();
}

ivshmem_server::~ivshmem_server()
{
  if (bound_)
    ::unlink(wanted_.path.c_str());
}

void ivshmem_server::make_region(error_code& ec)
{
  if (wanted_.size == 0 || (wanted_.size & (wanted_.size - 1)) != 0)
  {
    log(level::error, "the size of a device's memory has to be a power of two");
    ec = asio::error::invalid_argument;
    return;
  }
  detail::memfd memory = detail::memfd::create(wanted_.size, ec);
  if (ec)
    return;
  try
  {
    boost::interprocess::mapped_region mapping(
        memory, boost::interprocess::read_write, 0, static_cast<std::size_t>(wanted_.size));
    mapping_.swap(mapping);
  }
  catch (const boost::interprocess::interprocess_exception& e)
  {
    const int native = e.get_native_error();
    ec = error_code(native != 0 ? native : ENOMEM, boost::system::system_category());
    return;
  }
  create_header(mapping_.get_address(), wanted_.size, wanted_.partitions, wanted_.vectors, random_number(), ec);
  descriptor kept(::fcntl(memory.native_handle(), F_DUPFD_CLOEXEC, 0));
  if (!ec && !kept.valid())
    ec = last_error();
  memory_ = std::make_shared<const descriptor>(std::move(kept));
  std::memcpy(constants_.data(), mapping_.get_address(), constants_.size());
}

void ivshmem_server::listen(error_code& ec)
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (wanted_.path.empty() || wanted_.path.size() >= sizeof(address.sun_path))
  {
    ec = asio::error::name_too_long;
    return;
  }
  std::memcpy(address.sun_path, wanted_.path.c_str(), wanted_.path.size() + 1);
  const auto* const name = reinterpret_cast<const sockaddr*>(&address);
  // Until this one listens, no other server may take its file for that of a dead one. Whoever may read the folder can
  // hold this lock: that is then as if the name were taken.
  const descriptor folder = open_folder_of(wanted_.path, ec);
  if (!ec)
    detail::try_lock(folder.get(), ec);
  if (!ec)
    acceptor_.open(asio::local::stream_protocol(), ec);
  // From the first moment on, for this user alone.
  if (!ec && ::fchmod(acceptor_.native_handle(), S_IRUSR | S_IWUSR) != 0)
    ec = last_error();
  if (ec)
    return;
  if (::bind(acceptor_.native_handle(), name, sizeof(address)) != 0)
  {
    ec = last_error();
    if (ec != asio::error::address_in_use)
      return;
    // A file that a dead server has left is replaced.
    const descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    struct stat status;
    if (!probe.valid() || ::connect(probe.get(), name, sizeof(address)) == 0 || errno != ECONNREFUSED
        || ::lstat(wanted_.path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode))
      return;
    if (::unlink(wanted_.path.c_str()) != 0 || ::bind(acceptor_.native_handle(), name, sizeof(address)) != 0)
    {
      ec = last_error();
      return;
    }
  }
  bound_ = true;
  acceptor_.listen(asio::socket_base::max_listen_connections, ec);
}

void ivshmem_server::accept()
{
  acceptor_.async_accept(
      [this](const error_code& ec, socket from)
      {
        if (ec == asio::error::operation_aborted)
          return;
        if (!ec)
          join(std::move(from));
        else
        {
          log(level::error, "the server cannot accept: " + ec.message());
          // As without descriptors: not again at once.
          const auto pause = std::make_shared<asio::steady_timer>(context_, std::chrono::seconds(1));
          pause->async_wait(
              [this, pause](const error_code& failed)
              {
                if (!failed)
                  accept();
              });
          return;
        }
        accept();
      });
}

void ivshmem_server::join(socket&& from)
{
  const auto who = std::make_shared<client>(std::move(from));
  while (clients_.count(who->id) != 0)
    ++who->id;
  if (who->id >= wanted_.partitions)
  {
    log(level::warning, "another one came, and there is no number left for it");
    return;
  }
  error_code ec;
  who->connection.native_non_blocking(true, ec);
  std::vector<shared_descriptor>& bells = bells_[who->id];
  while (bells.size() < wanted_.vectors && !ec)
    bells.push_back(std::make_shared<const descriptor>(detail::open_eventfd(ec)));
  if (ec)
    bells.clear(); // nobody has seen them
  for (const shared_descriptor& bell : bells)
  {
    // Whoever was here before can have changed the one, and was meant by the other.
    ::fcntl(bell->get(), F_SETFL, O_RDWR | O_NONBLOCK);
    detail::drain_eventfd(bell->get());
  }
  who->bells = bells;
  if (ec)
  {
    log(level::error, "partition " + std::to_string(who->id) + " cannot be served: " + ec.message());
    return;
  }
  say(who, ivshmem_message::protocol_version);
  say(who, who->id);
  say(who, ivshmem_message::memory_follows, memory_);
  for (const auto& other : clients_)
  {
    announce(*other.second, who);
    announce(*who, other.second);
  }
  announce(*who, who);
  clients_.emplace(who->id, who);
  log(level::info, "the server has given out number " + std::to_string(who->id));
  set_present(who->id, random_number());
  watch(who);
}

void ivshmem_server::announce(const client& about, const pointer& to)
{
  if (!to->knows.insert(about.id).second)
    return;
  for (const shared_descriptor& bell : about.bells)
    say(to, about.id, bell);
}

// Clients send nothing: when there is something to read, it is their end.
void ivshmem_server::watch(const pointer& who)
{
  who->connection.async_wait(socket::wait_read,
      [this, who](const error_code& ec)
      {
        if (ec || who->gone)
          return;
        char ignored[256];
        const ssize_t n = ::recv(who->connection.native_handle(), ignored, sizeof(ignored), MSG_DONTWAIT);
        if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
          watch(who);
        else
          leave(who);
      });
}

void ivshmem_server::leave(const pointer& who)
{
  if (who->gone)
    return;
  who->gone = true;
  clients_.erase(who->id);
  error_code ignored;
  who->connection.close(ignored);
  who->retry.cancel();
  log(level::info, "number " + std::to_string(who->id) + " has left the server");
  set_present(who->id, 0);
}

void ivshmem_server::set_present(std::uint32_t id, std::uint64_t since)
{
  auto& header = *static_cast<region_header*>(mapping_.get_address());
  present_[id] = since;
  header.present[id].store(since, std::memory_order_release);
  for (const auto& other : clients_)
    if (other.first != id && !other.second->bells.empty())
      detail::ring_shared_eventfd(other.second->bells.front()->get());
}

// What a partition has written over it would else outlive that partition.
void ivshmem_server::keep_header()
{
  void* const base = mapping_.get_address();
  const auto said = detail::untrusted_copy(*static_cast<const decltype(constants_)*>(base));
  if (said != constants_)
    std::memcpy(base, constants_.data(), constants_.size());
  auto& present = static_cast<region_header*>(base)->present;
  for (std::uint32_t id = 0; id != max_partitions; ++id)
    if (detail::untrusted(present[id]).any() != present_[id])
      set_present(id, present_[id]);
  header_timer_.expires_after(header_interval);
  header_timer_.async_wait(
      [this](const error_code& ec)
      {
        if (!ec)
          keep_header();
      });
}

void ivshmem_server::say(const pointer& to, std::int64_t value, shared_descriptor attached)
{
  if (to->gone)
    return;
  to->waiting.push_back({value, std::move(attached)});
  if (!to->writing)
    write(to);
}

void ivshmem_server::write(const pointer& to)
{
  const auto again = [this, to](const error_code& ec)
  {
    to->writing = false;
    if (!ec && !to->gone)
      write(to);
  };
  to->writing = false;
  for (; !to->waiting.empty(); to->waiting.pop_front())
  {
    const message& next = to->waiting.front();
    if (send_ivshmem_message(to->connection.native_handle(), next.value, next.attached ? next.attached->get() : -1))
      continue;
    if (errno == EAGAIN)
    {
      to->writing = true;
      to->connection.async_wait(socket::wait_write, again);
    }
    else if (errno == ETOOMANYREFS)
    {
      to->writing = true;
      to->retry.expires_after(retry_pause);
      to->retry.async_wait(again);
    }
    else
      asio::post(context_, [this, to] { leave(to); });
    return;
  }
}

} // namespace partitiond
} // namespace shm
