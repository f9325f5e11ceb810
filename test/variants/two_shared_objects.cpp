// SPDX-License-Identifier: BSL-1.0
// A program of two shared objects which both have the library inside: one is linked, the other is loaded at run time.
//   two_shared_objects <path of the object to be loaded>

#include "shared_object.hpp"
#include "temp_runtime_directory.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <cstdio>
#include <string>

#include <dlfcn.h>

extern "C" const shared_object* linked_shared_object();

namespace {

int failures = 0;

void check(bool holds, const char* what)
{
  if (holds)
    return;
  ++failures;
  std::fprintf(stderr, "failed: %s\n", what);
}

void check_connects(const shared_object& server, const shared_object& client, const char* what)
{
  const long bytes = 3'000'000;
  const unsigned short port = server.start_server();
  check(port != 0 && client.ask(port, bytes) == bytes && server.join_server() == bytes, what);
}

void check_throws(const shared_object& object, const char* what)
{
  bool caught = false;
  try
  {
    object.fail_to_connect();
  }
  catch (const boost::system::system_error& e)
  {
    caught = e.code() == boost::asio::error::connection_refused;
  }
  check(caught, what);
}

void use(const shared_object& linked, const shared_object& loaded)
{
  check_connects(linked, linked, "linked to linked");
  check_connects(linked, loaded, "loaded to linked");
  check_connects(loaded, linked, "linked to loaded");
  check_connects(loaded, loaded, "loaded to loaded");

  // One category, however many copies there are of it.
  const boost::system::error_code a = linked.corrupted(), b = loaded.corrupted();
  check(a == b, "codes of both objects are equal");
  check(a.category() == b.category(), "categories of both objects are equal");
  check(a.message() == b.message() && std::string(a.category().name()) == "asio.shm", "their texts are equal");
  check(a.default_error_condition() == b.default_error_condition(), "their conditions are equal");
  check_throws(linked, "an exception of the linked object is caught");
  check_throws(loaded, "an exception of the loaded object is caught");
}

} // namespace

int main(int argc, char** argv)
{
  if (argc < 2)
    return 2;
  const shm::test::temp_runtime_directory directory;
  // Loaded, used, unloaded, and once more: then it stays until the program exits.
  for (const bool unload : {true, false})
  {
    void* const object = ::dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!object)
    {
      std::fprintf(stderr, "%s\n", ::dlerror());
      return 3;
    }
    const auto get = reinterpret_cast<const shared_object* (*)()>(::dlsym(object, "loaded_shared_object"));
    if (!get)
      return 4;
    use(*linked_shared_object(), *get());
    if (unload)
      ::dlclose(object);
  }
  if (failures == 0)
    std::puts("all checks passed");
  return failures == 0 ? 0 : 1;
}
