// SPDX-License-Identifier: BSL-1.0
// Reading the command line.
#include "options.hpp"

#include "known_partitions.hpp"
#include "region_layout.hpp"

#include <boost/program_options.hpp>

#include <limits>
#include <sstream>
#include <stdexcept>

#ifndef ASIO_SHM_VERSION
#define ASIO_SHM_VERSION "unknown"
#endif

namespace shm {
namespace partitiond {
namespace {

namespace po = boost::program_options;

constexpr int usage_error = 2;
constexpr std::uint32_t most_vectors = 256;

constexpr char introduction[] =
    "Connects this partition with others that run their own operating system: programs that use\n"
    "shm::stream_protocol reach their addresses through shared memory.\n"
    "\n"
    "Usage: shm_partitiond --serve SOCKET [--size 1G] [--partitions 16] [--vectors 8]\n"
    "       shm_partitiond --attach SOCKET\n"
    "       shm_partitiond --vfio [PCI-ADDRESS]\n"
    "       shm_partitiond --region FILE --id N [--create [--size 1G] [--partitions 16]]\n"
    "\n";

po::options_description description()
{
  po::options_description all("Options");
  po::options_description_easy_init add = all.add_options();
  add("serve", po::value<std::string>()->value_name("SOCKET"),
      "make the region and be the ivshmem server at this AF_UNIX socket, for QEMU and for --attach");
  add("attach", po::value<std::string>()->value_name("SOCKET"), "take part in the region of that server");
  add("vfio", po::value<std::string>()->value_name("PCI-ADDRESS")->implicit_value(""),
      "use the ivshmem device of this virtual machine; it is bound to vfio-pci");
  add("region", po::value<std::string>()->value_name("FILE"),
      "use a shared file; without interrupts, by looking at it");
  add("id", po::value<std::uint32_t>()->value_name("N"), "the number of this partition in the file");
  add("create", po::bool_switch(), "make the region in the file");
  add("size", po::value<std::string>()->value_name("BYTES"), "of the region; K, M and G multiply; with serve a power of two (1G)");
  add("partitions", po::value<std::uint32_t>()->value_name("N"), "how many there is room for, 2 to 64 (16)");
  add("vectors", po::value<std::uint32_t>()->value_name("N"), "doorbells of each partition, 1 to 256 (8)");
  add("name", po::value<std::string>()->value_name("NAME"), "of this partition, for resolvers (partition-<id>)");
  add("address", po::value<std::string>()->value_name("ADDRESS"), "of this partition (by region and id)");
  add("runtime-directory", po::value<std::string>()->value_name("DIRECTORY"), "instead of ASIO_SHM_DIR");
  add("dead-after", po::value<std::uint32_t>()->value_name("MS"),
      "a partition without heartbeat for so long has died (3000)");
  add("help", "print this and exit");
  add("version", "print the version and exit");
  return all;
}

[[noreturn]] void wrong(const std::string& what)
{
  throw std::invalid_argument(what);
}

// A number of bytes, as 1G.
std::uint64_t parse_size(const std::string& text)
{
  std::istringstream in(text);
  std::uint64_t value = 0;
  std::string unit;
  if (text.empty() || text[0] < '0' || text[0] > '9' || !(in >> value))
    wrong("--size: " + text + " is no size");
  std::getline(in, unit);
  const std::size_t shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : 64;
  if (shift == 64 || value > (std::numeric_limits<std::uint64_t>::max() >> 1 >> shift))
    wrong("--size: " + text + " is no size");
  return value << shift;
}

std::uint32_t number(
    const po::variables_map& given, const char* name, std::uint32_t least, std::uint32_t most, std::uint32_t otherwise)
{
  const std::uint32_t value = given.count(name) ? given[name].as<std::uint32_t>() : otherwise;
  if (value < least || value > most)
    wrong(std::string("--") + name + " has to be from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

std::string text(const po::variables_map& given, const char* name)
{
  return given.count(name) ? given[name].as<std::string>() : std::string();
}

void read_source(const po::variables_map& given, options& result)
{
  const struct
  {
    const char* name;
    options::source from;
  } sources[] = {{"serve", options::source::serve}, {"attach", options::source::attach},
      {"vfio", options::source::vfio}, {"region", options::source::region}};
  int count = 0;
  for (const auto& one : sources)
    if (given.count(one.name))
    {
      ++count;
      result.from = one.from;
      result.path = text(given, one.name);
      if (result.path.empty() && one.from != options::source::vfio)
        wrong(std::string("--") + one.name + " wants a path");
    }
  if (count != 1)
    wrong("one of --serve, --attach, --vfio and --region is needed");
  if (given.count("device"))
  {
    if (result.from != options::source::vfio || !result.path.empty())
      wrong("unexpected argument " + text(given, "device"));
    result.path = text(given, "device");
  }
}

options interpret(const po::variables_map& given)
{
  options result;
  read_source(given, result);
  const bool by_file = result.from == options::source::region;
  result.create = given["create"].as<bool>();
  if (by_file != (given.count("id") != 0) || (result.create && !by_file))
    wrong(by_file ? "--region needs --id" : "--id and --create belong to --region");
  const bool makes = result.from == options::source::serve || result.create;
  if (!makes && (given.count("size") || given.count("partitions")))
    wrong("--size and --partitions are for whoever makes the region");
  if (given.count("vectors") && result.from != options::source::serve)
    wrong("--vectors belongs to --serve");

  if (given.count("size"))
    result.size = parse_size(text(given, "size"));
  result.partitions = number(given, "partitions", 2, max_partitions, result.partitions);
  result.vectors = number(given, "vectors", 1, most_vectors, result.vectors);
  result.id = number(given, "id", 0, max_partitions - 1, 0);
  result.dead_after = std::chrono::milliseconds(number(given, "dead-after", 500, 3600'000, 3000));
  result.name = text(given, "name");
  if (given.count("name") && !is_fit(result.name))
    wrong("--name: up to 64 letters, digits, '-', '_', and not a number");
  result.address = text(given, "address");
  detail::ip_name address;
  if (given.count("address") && !(parse_address(result.address, address) && is_fit(address)))
    wrong("--address: " + result.address + " cannot be the address of a partition");
  result.runtime_directory = text(given, "runtime-directory");
  if (given.count("runtime-directory") && result.runtime_directory.empty())
    wrong("--runtime-directory wants a path");
  return result;
}

} // namespace

command_line parse_command_line(int argc, const char* const* argv)
{
  command_line result;
  try
  {
    const po::options_description named = description();
    po::options_description all;
    all.add(named).add_options()("device", po::value<std::string>());
    po::positional_options_description positional;
    positional.add("device", 1);
    po::variables_map given;
    const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(argc, argv).options(all).positional(positional).style(style).run(), given);
    po::notify(given);
    if (given.count("help"))
    {
      std::ostringstream out;
      out << introduction << named;
      result.text = out.str();
    }
    else if (given.count("version"))
      result.text = "shm_partitiond " ASIO_SHM_VERSION "\n";
    else
    {
      result.wanted = interpret(given);
      result.run = true;
    }
  }
  catch (const std::logic_error& e) // the base of what Program_options throws, too
  {
    result.exit_code = usage_error;
    result.text = std::string("shm_partitiond: ") + e.what() + "\nTry shm_partitiond --help.\n";
  }
  return result;
}

} // namespace partitiond
} // namespace shm
