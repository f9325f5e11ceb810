// SPDX-License-Identifier: BSL-1.0
// A runtime directory of one test's own.
#ifndef ASIO_SHM_TEST_SUPPORT_TEMP_RUNTIME_DIRECTORY_HPP
#define ASIO_SHM_TEST_SUPPORT_TEMP_RUNTIME_DIRECTORY_HPP

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace shm {
namespace test {

/// Sets an environment variable, or unsets it, and restores it at the end.
class scoped_environment
{
public:
  scoped_environment(std::string name, const char* value) : name_(std::move(name))
  {
    if (const char* before = std::getenv(name_.c_str()))
      before_ = before;
    set(value);
  }

  scoped_environment(const scoped_environment&) = delete;
  scoped_environment& operator=(const scoped_environment&) = delete;
  ~scoped_environment() { set(before_ ? before_->c_str() : nullptr); }

private:
  void set(const char* value)
  {
    if (value)
      ::setenv(name_.c_str(), value, 1);
    else
      ::unsetenv(name_.c_str());
  }

  std::string name_;
  std::optional<std::string> before_;
};

/// A new empty directory under TMPDIR, or /tmp, that is removed with all that is in it.
class temp_directory
{
public:
  temp_directory()
  {
    const char* parent = std::getenv("TMPDIR");
    path_ = std::string(parent && *parent ? parent : "/tmp") + "/asio-shm-test-XXXXXX";
    if (!::mkdtemp(path_.data()))
      throw std::system_error(errno, std::generic_category(), "mkdtemp " + path_);
  }

  temp_directory(const temp_directory&) = delete;
  temp_directory& operator=(const temp_directory&) = delete;

  ~temp_directory()
  {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const noexcept { return path_; }

private:
  std::string path_;
};

/// Such a directory as ASIO_SHM_DIR, for this process and those that it starts. Set up before threads are.
class temp_runtime_directory
{
public:
  temp_runtime_directory() : environment_("ASIO_SHM_DIR", directory_.path().c_str()) {}

  const std::string& path() const noexcept { return directory_.path(); }

private:
  temp_directory directory_;
  scoped_environment environment_;
};

} // namespace test
} // namespace shm

#endif
