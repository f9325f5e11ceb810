// SPDX-License-Identifier: BSL-1.0
// Asio's stream buffer, specialised for our protocol: its own calls recv and send on the descriptor.
#ifndef ASIO_SHM_DETAIL_ASIO_STREAMBUF_HPP
#define ASIO_SHM_DETAIL_ASIO_STREAMBUF_HPP

#include <boost/asio/detail/config.hpp>

#if !defined(BOOST_ASIO_NO_IOSTREAM)

#include <shm/detail/timed_operations.hpp>
#include <shm/stream_protocol.hpp>

#if defined(BOOST_ASIO_HAS_BOOST_DATE_TIME) && defined(BOOST_ASIO_USE_BOOST_DATE_TIME_FOR_SOCKET_IOSTREAM)
#include <boost/date_time/special_defs.hpp>
#endif

#include <boost/asio/basic_socket.hpp>
#include <boost/asio/basic_socket_streambuf.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/detail/chrono_time_traits.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ios>
#include <memory>
#include <streambuf>
#include <type_traits>
#include <utility>
#include <vector>

namespace shm {
namespace detail {

/// How a stream's times are calculated with, and which of them is never.
template <typename Clock, typename WaitTraits, typename = void>
struct stream_time
{
  using traits = boost::asio::detail::chrono_time_traits<Clock, WaitTraits>;
  static typename traits::time_type never() { return (traits::time_type::max)(); }
};

#if defined(BOOST_ASIO_HAS_BOOST_DATE_TIME) && defined(BOOST_ASIO_USE_BOOST_DATE_TIME_FOR_SOCKET_IOSTREAM)
/// Times of Boost.DateTime, which Asio's streams have with that macro up to some version.
template <typename Clock, typename WaitTraits>
struct stream_time<Clock, WaitTraits, std::void_t<typename WaitTraits::time_type>>
{
  using traits = WaitTraits;
  static typename traits::time_type never() { return typename traits::time_type(boost::date_time::pos_infin); }
};
#endif

/// The context of a stream that made its socket itself. A base, because it must outlive the socket.
struct streambuf_context
{
  std::shared_ptr<boost::asio::io_context> own_context_;
};

/// The memory of both areas. A base, so that a failed allocation leaves the socket that is moved in where it is.
struct streambuf_areas
{
  static constexpr std::size_t area_size = 4096;
  static constexpr std::size_t putback_max = 8;

  std::vector<char> get_area_ = std::vector<char>(area_size);
  std::vector<char> put_area_ = std::vector<char>(area_size);
};

} // namespace detail
} // namespace shm

namespace boost {
namespace asio {

/// Buffered, blocking input and output with an expiry time; the members are those of the primary template.
/**
 * Used through @c basic_socket_iostream. Each blocking operation ends when it is done or at the expiry time, then with
 * @c error::timed_out from error(). The put area is written when it is full, by sync() and by the destructor.
 *
 * @par Thread Safety
 * @e Distinct @e objects: Safe.@n
 * @e Shared @e objects: Unsafe.
 *
 * Source: @c boost::asio::basic_socket_streambuf.
 */
template <typename Clock, typename WaitTraits>
class basic_socket_streambuf<shm::stream_protocol, Clock, WaitTraits>
  : public std::streambuf,
    private shm::detail::streambuf_context,
    private shm::detail::streambuf_areas,
#if defined(BOOST_ASIO_NO_DEPRECATED)
    private basic_socket<shm::stream_protocol>
#else
    public basic_socket<shm::stream_protocol> // as it is in the primary template of Boost 1.81
#endif
{
  using stream_time = shm::detail::stream_time<Clock, WaitTraits>;
  using time_traits_type = typename stream_time::traits;
  using socket_type = basic_socket<shm::stream_protocol>;
  using steady = std::chrono::steady_clock;

public:
  using protocol_type = shm::stream_protocol;
  using endpoint_type = protocol_type::endpoint;
  using clock_type = Clock;
  using time_point = typename time_traits_type::time_type;
  using duration = typename time_traits_type::duration_type;
#if !defined(BOOST_ASIO_NO_DEPRECATED)
  using time_type = time_point;
  using duration_type = duration;
#endif

  basic_socket_streambuf()
    : streambuf_context{std::make_shared<io_context>()}, socket_type(*own_context_), expiry_(never())
  {
    reset_areas();
  }

  explicit basic_socket_streambuf(basic_stream_socket<protocol_type> s)
    : streambuf_context{nullptr}, socket_type(std::move(s)), expiry_(never())
  {
    reset_areas();
  }

  basic_socket_streambuf(basic_socket_streambuf&& other)
    : std::streambuf(),
      streambuf_context(static_cast<const streambuf_context&>(other)), // which keeps its socket object on it
      socket_type(std::move(other.socket())),
      ec_(other.ec_),
      expiry_(other.expiry_)
  {
    take_areas(other);
  }

  basic_socket_streambuf& operator=(basic_socket_streambuf&& other)
  {
    if (this == &other)
      return *this;
    close();
    socket() = std::move(other.socket());
    streambuf_context::operator=(other);
    ec_ = other.ec_;
    expiry_ = other.expiry_;
    take_areas(other);
    return *this;
  }

  basic_socket_streambuf(const basic_socket_streambuf&) = delete;
  basic_socket_streambuf& operator=(const basic_socket_streambuf&) = delete;

  ~basic_socket_streambuf() override
  {
    try
    {
      flush();
    }
    catch (...) // sleeping takes a little memory
    {
    }
  }

  /// Closes the socket and connects it anew; blocks at most until the expiry time.
  /**
   * @returns null on failure; error() is then what connecting gave, or @c timed_out, and after an expiry time that was
   * past before the call, the old connection is still there.
   */
  basic_socket_streambuf* connect(const endpoint_type& endpoint)
  {
    reset_areas();
    connect_to(&endpoint, &endpoint + 1);
    return ec_ ? nullptr : this;
  }

  /// The same for the endpoints that the resolver has for the arguments, one after the other until one connects.
  /**
   * Resolving does not look at the expiry time. error() is what resolving or the last endpoint gave.
   */
  template <typename... T>
  basic_socket_streambuf* connect(T... x)
  {
    reset_areas();
    protocol_type::resolver resolver(socket().get_executor());
    const auto results = resolver.resolve(x..., ec_);
    if (!ec_)
      connect_to(results.begin(), results.end());
    return ec_ ? nullptr : this;
  }

  /// Sends what is in the put area, as far as the expiry time lets it, and closes the socket.
  /**
   * @returns null if the socket could not be closed. As with TCP, what could not be sent is lost without an error.
   */
  basic_socket_streambuf* close()
  {
    sync();
    socket().close(ec_);
    if (!ec_)
      reset_areas();
    return ec_ ? nullptr : this;
  }

  /// The socket, to be accepted into or asked for its endpoints.
  basic_socket<protocol_type>& socket() { return *this; }

  /// What the last operation of the buffer gave: success, @c eof, @c timed_out, or the socket's error.
  const boost::system::error_code& error() const { return ec_; }

  /// When blocking ends; the latest time that there is unless it was set.
  time_point expiry() const { return expiry_; }

  /// Sets when blocking ends. Operations that need the socket fail with @c timed_out after that time, and lose nothing:
  /// with a later time they can be repeated.
  void expires_at(const time_point& expiry_time) { expiry_ = expiry_time; }

  /// The same, counted from now.
  void expires_after(const duration& expiry_time)
  {
    expiry_ = time_traits_type::add(time_traits_type::now(), expiry_time);
  }

#if !defined(BOOST_ASIO_NO_DEPRECATED)
  const boost::system::error_code& puberror() const { return ec_; }

  time_point expires_at() const { return expiry_; }

  duration expires_from_now() const { return time_traits_type::subtract(expiry_, time_traits_type::now()); }

  void expires_from_now(const duration& expiry_time) { expires_after(expiry_time); }
#endif

protected:
  int_type underflow() override
  {
    if (gptr() != egptr())
      return traits_type::eof();
    shm::detail::timed_receive command;
    command.buffer = boost::asio::buffer(get_area_) + putback_max;
    if (!perform(command))
      return traits_type::eof();
    char* const begin = get_area_.data() + putback_max;
    setg(get_area_.data(), begin, begin + command.bytes_transferred);
    return traits_type::to_int_type(*gptr());
  }

  int_type overflow(int_type c) override
  {
    const bool nothing_new = traits_type::eq_int_type(c, traits_type::eof());
    char ch = traits_type::to_char_type(c);
    if (put_area_.empty())
    {
      const_buffer rest(&ch, nothing_new ? 0 : 1);
      return send_all(rest) ? traits_type::not_eof(c) : traits_type::eof();
    }
    if (!flush())
      return traits_type::eof();
    if (!nothing_new)
    {
      *pptr() = ch;
      pbump(1);
    }
    return traits_type::not_eof(c);
  }

  int sync() override { return flush() ? 0 : -1; }

  /// Supports (nullptr, 0) with nothing buffered: every character is then written at once.
  std::streambuf* setbuf(char_type* s, std::streamsize n) override
  {
    if (pptr() != pbase() || s != nullptr || n != 0)
      return nullptr;
    put_area_.clear();
    setp(nullptr, nullptr);
    return this;
  }

private:
  static time_point never() { return stream_time::never(); }

  bool expired() const { return time_traits_type::less_than(expiry_, time_traits_type::now()); }

  // The expiry time on the clock of the blocking operations.
  steady::time_point deadline() const
  {
    if (expiry_ == never())
      return (steady::time_point::max)();
    constexpr std::int64_t longest = 1000000LL * 60 * 60 * 24; // then the expiry time is looked at again
    const std::int64_t left =
        time_traits_type::to_posix_duration(time_traits_type::subtract(expiry_, time_traits_type::now()))
            .total_microseconds();
    return steady::now() + std::chrono::microseconds(left < 0 ? 0 : left < longest ? left + 1 : longest);
  }

  // Repeats a blocking operation until it is done or the expiry time is past.
  template <typename Command>
  bool perform(Command& command)
  {
    do
    {
      if (expired())
      {
        ec_ = error::timed_out;
        return false;
      }
      command.until = deadline();
      socket().io_control(command, ec_);
    } while (ec_ == error::would_block || ec_ == error::try_again);
    return !ec_;
  }

  // On failure the buffer is what was not sent.
  bool send_all(const_buffer& data)
  {
    while (data.size() != 0)
    {
      shm::detail::timed_send command;
      command.buffer = data;
      if (!perform(command))
        return false;
      data += command.bytes_transferred;
    }
    return true;
  }

  bool flush()
  {
    const_buffer rest(pbase(), static_cast<std::size_t>(pptr() - pbase()));
    const bool sent = send_all(rest);
    // What is left is sent by the next flush, and nothing twice.
    if (rest.size() != 0)
      std::memmove(pbase(), rest.data(), rest.size());
    reset_put_area();
    pbump(static_cast<int>(rest.size()));
    return sent;
  }

  template <typename Iterator>
  void connect_to(Iterator begin, Iterator end)
  {
    ec_ = error::not_found;
    for (; begin != end; ++begin)
    {
      if (expired())
      {
        ec_ = error::timed_out; // and the connection that there may be stays
        return;
      }
      const endpoint_type endpoint(*begin);
      socket().close(ec_);
      socket().open(endpoint.protocol(), ec_);
      shm::detail::timed_connect<endpoint_type> command{endpoint, {}};
      if (!ec_ && perform(command))
        return;
    }
  }

  void reset_put_area()
  {
    if (put_area_.empty())
      setp(nullptr, nullptr);
    else
      setp(put_area_.data(), put_area_.data() + put_area_.size());
  }

  void reset_areas()
  {
    char* const begin = get_area_.data() + putback_max;
    setg(get_area_.data(), begin, begin);
    reset_put_area();
  }

  // The other one is as after its default construction, on the same context.
  void take_areas(basic_socket_streambuf& other)
  {
    get_area_.swap(other.get_area_);
    put_area_.swap(other.put_area_);
    setg(other.eback(), other.gptr(), other.egptr());
    setp(other.pbase(), other.epptr());
    pbump(static_cast<int>(other.pptr() - other.pbase()));
    other.ec_ = boost::system::error_code();
    other.expiry_ = never();
    other.put_area_.resize(area_size);
    other.reset_areas();
  }

  boost::system::error_code ec_;
  time_point expiry_;
};

} // namespace asio
} // namespace boost

#endif // !defined(BOOST_ASIO_NO_IOSTREAM)

#endif
