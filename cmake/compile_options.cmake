# SPDX-License-Identifier: BSL-1.0
# Warnings and sanitizers of this folder and those below it: library, tests and examples, never the user's targets.
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow)
if(ASIO_SHM_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()

if(ASIO_SHM_SANITIZE)
  string(REPLACE ";" "," asio_shm_sanitizers "${ASIO_SHM_SANITIZE}")
  add_compile_options(-fsanitize=${asio_shm_sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${asio_shm_sanitizers})
  # Clang up to 14 cannot assemble coroutines with it.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND "undefined" IN_LIST ASIO_SHM_SANITIZE)
    add_compile_options(-fno-sanitize=function)
  endif()
  # g++ warns of every fence in Asio's own headers.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND "thread" IN_LIST ASIO_SHM_SANITIZE)
    add_compile_options(-Wno-tsan)
  endif()
endif()
