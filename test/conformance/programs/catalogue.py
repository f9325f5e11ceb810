# SPDX-License-Identifier: BSL-1.0
"""The example programs: which there are, how each is built, and which cannot take part and why."""
import dataclasses
import fnmatch

EXAMPLES = "/usr/share/doc/libboost1.81-doc/examples/libs"

# What test/run.sh installs is enough for the short selection; these are for the rest.
PACKAGES = ("g++", "ninja-build", "libboost1.81-dev", "libboost1.81-doc", "libssl-dev", "openssl", "netbase")
PACKAGES_OF_ALL = PACKAGES + tuple(
    f"libboost-{name}1.81-dev" for name in ("chrono", "context", "coroutine", "serialization", "thread"))


@dataclasses.dataclass(frozen=True)
class Program:
    """One example program; the paths are relative to EXAMPLES."""
    name: str
    sources: tuple
    standard: int
    libraries: tuple = ()
    defines: tuple = ()
    precompiled: str = "asio"  # which header is precompiled, "" for none
    before: str = "tcp"  # the transport of the original: tcp or local


THREAD = ("boost_thread", "boost_chrono")
SPAWN = ("boost_coroutine", "boost_context")
TLS = ("ssl", "crypto")  # also for what only sees Asio's TLS headers, by the precompiled one

# name below asio/example -> libraries. The name is the path of the file with main().
ASIO = {
    "cpp03/allocation/server": (),
    "cpp03/buffers/reference_counted": (),
    "cpp03/chat/chat_client": THREAD,
    "cpp03/chat/chat_server": (),
    "cpp03/chat/posix_chat_client": (),
    "cpp03/echo/async_tcp_echo_server": (),
    "cpp03/echo/blocking_tcp_echo_client": (),
    "cpp03/echo/blocking_tcp_echo_server": THREAD,
    "cpp03/fork/process_per_connection": (),
    "cpp03/http/client/async_client": (),
    "cpp03/http/client/sync_client": (),
    "cpp03/invocation/prioritised_handlers": (),
    "cpp03/iostreams/daytime_client": (),
    "cpp03/iostreams/daytime_server": (),
    "cpp03/iostreams/http_client": (),
    "cpp03/local/connect_pair": THREAD,
    "cpp03/local/iostream_client": (),
    "cpp03/local/stream_client": (),
    "cpp03/local/stream_server": (),
    "cpp03/nonblocking/third_party_lib": (),
    "cpp03/porthopper/client": (),
    "cpp03/porthopper/server": (),
    "cpp03/serialization/client": ("boost_serialization",),
    "cpp03/serialization/server": ("boost_serialization",),
    "cpp03/services/daytime_client": THREAD,
    "cpp03/spawn/echo_server": SPAWN,
    "cpp03/ssl/client": TLS,
    "cpp03/ssl/server": TLS,
    "cpp03/timeouts/async_tcp_client": (),
    "cpp03/timeouts/blocking_tcp_client": (),
    "cpp03/timeouts/blocking_token_tcp_client": (),
    "cpp03/timeouts/server": (),
    "cpp03/tutorial/daytime1/client": (),
    "cpp03/tutorial/daytime2/server": (),
    "cpp03/tutorial/daytime3/server": (),
    "cpp03/tutorial/daytime7/server": (),
    "cpp11/allocation/server": (),
    "cpp11/buffers/reference_counted": (),
    "cpp11/chat/chat_client": (),
    "cpp11/chat/chat_server": (),
    "cpp11/echo/async_tcp_echo_server": (),
    "cpp11/echo/blocking_tcp_echo_client": (),
    "cpp11/echo/blocking_tcp_echo_server": (),
    "cpp11/fork/process_per_connection": (),
    "cpp11/handler_tracking/async_tcp_echo_server": (),
    "cpp11/invocation/prioritised_handlers": (),
    "cpp11/iostreams/http_client": (),
    "cpp11/local/connect_pair": THREAD,
    "cpp11/local/iostream_client": (),
    "cpp11/local/stream_client": (),
    "cpp11/local/stream_server": (),
    "cpp11/nonblocking/third_party_lib": (),
    "cpp11/spawn/echo_server": SPAWN,
    "cpp11/ssl/client": TLS,
    "cpp11/ssl/server": TLS,
    "cpp11/timeouts/async_tcp_client": (),
    "cpp11/timeouts/blocking_tcp_client": (),
    "cpp11/timeouts/blocking_token_tcp_client": (),
    "cpp11/timeouts/server": (),
    "cpp14/iostreams/http_client": (),
    "cpp17/coroutines_ts/chat_server": (),
    "cpp17/coroutines_ts/echo_server": (),
    "cpp17/coroutines_ts/echo_server_with_as_single_default": (),
    "cpp17/coroutines_ts/echo_server_with_as_tuple_default": (),
    "cpp17/coroutines_ts/echo_server_with_default": (),
    "cpp17/coroutines_ts/refactored_echo_server": (),
    "cpp20/channels/throttling_proxy": (),
    "cpp20/coroutines/chat_server": (),
    "cpp20/coroutines/echo_server": (),
    "cpp20/coroutines/echo_server_with_as_single_default": (),
    "cpp20/coroutines/echo_server_with_as_tuple_default": (),
    "cpp20/coroutines/echo_server_with_default": (),
    "cpp20/coroutines/echo_server_with_deferred": (),
    "cpp20/coroutines/echo_server_with_deferred_default": (),
    "cpp20/coroutines/refactored_echo_server": (),
    "cpp20/coroutines/timeout": (),
}
ASIO.update({f"{style}/operations/composed_{number}": () for style in ("cpp11", "cpp14", "cpp20")
             for number in range(1, 9)})

# Programs of several files: every .cpp of the folder.
ASIO_FOLDERS = {
    "cpp03/http/server": (),
    "cpp03/http/server2": THREAD,
    "cpp03/http/server3": THREAD,
    "cpp03/http/server4": (),
    "cpp11/http/server": (),
}

# name below beast/example -> libraries beside those of TLS; the file is named after the folders.
BEAST = {
    "http/client/async": (),
    "http/client/async-ssl": (),
    "http/client/async-ssl-system-executor": (),
    "http/client/awaitable": (),
    "http/client/coro": SPAWN,
    "http/client/coro-ssl": SPAWN,
    "http/client/sync": (),
    "http/client/sync-ssl": (),
    "http/server/async": (),
    "http/server/async-ssl": (),
    "http/server/awaitable": (),
    "http/server/coro": SPAWN,
    "http/server/coro-ssl": SPAWN,
    "http/server/fast": (),
    "http/server/flex": (),
    "http/server/small": (),
    "http/server/stackless": (),
    "http/server/stackless-ssl": (),
    "http/server/sync": (),
    "http/server/sync-ssl": (),
    "websocket/client/async": (),
    "websocket/client/async-ssl": (),
    "websocket/client/async-ssl-system-executor": (),
    "websocket/client/awaitable": (),
    "websocket/client/coro": SPAWN,
    "websocket/client/coro-ssl": SPAWN,
    "websocket/client/sync": (),
    "websocket/client/sync-ssl": (),
    "websocket/server/async": (),
    "websocket/server/async-ssl": (),
    "websocket/server/awaitable": (),
    "websocket/server/coro": SPAWN,
    "websocket/server/coro-ssl": SPAWN,
    "websocket/server/fast": SPAWN,
    "websocket/server/stackless": (),
    "websocket/server/stackless-ssl": (),
    "websocket/server/sync": (),
    "websocket/server/sync-ssl": (),
    "advanced/server": (),
    "advanced/server-flex": (),
}

# Patterns of paths below EXAMPLES, in this order, with the reason why these programs do not take part. Every example
# that names tcp or local::stream_protocol is either a program above or named here; the runner checks it.
EXCLUDED = (
    ("asio/example/cpp??/windows/*", "for Windows"),
    ("asio/example/cpp11/local/fd_passing_stream_*",
     "sends descriptors with sendmsg on the native handle, which is the rendezvous socket here"),
    ("asio/example/cpp17/coroutines_ts/range_based_for.cpp",
     "does not compile over TCP: its loop over awaitables was dropped from C++20"),
    ("beast/example/advanced/server-flex-awaitable/*",
     "does not compile over TCP in Boost 1.81: it does not include <list>, which it uses"),
    ("asio/example/cpp??/socks4/*", "resolves www.boost.org, so it needs a name server"),
    ("beast/example/http/client/body/*", "talks to a host on the Internet that it names itself"),
    ("beast/example/http/client/crawl/*", "talks to thousands of hosts on the Internet"),
)


def excluded(path):
    """The reason why the example does not take part, or None."""
    for pattern, reason in EXCLUDED:
        if fnmatch.fnmatch(path, pattern):
            return reason
    return None


# Options that programs need, with those of their build files. They concern macros that change Asio's classes, so that
# the precompiled headers do not fit.
DEFINES = {
    "cpp11/handler_tracking/": '-DBOOST_ASIO_CUSTOM_HANDLER_TRACKING=\\"custom_tracking.hpp\\"',
    # Its connection takes an executor by the type that any_io_executor was before Boost 1.74.
    "cpp03/serialization/": "-DBOOST_ASIO_USE_TS_EXECUTOR_AS_DEFAULT",
}


def _asio(name, libraries, sources):
    style = name.split("/")[0]
    defines = tuple(option for start, option in DEFINES.items() if name.startswith(start))
    return Program(name=name, sources=sources, standard=20 if style in ("cpp17", "cpp20") else 17, libraries=libraries,
                   defines=defines, precompiled="" if defines else "asio",
                   before="local" if "/local/" in name else "tcp")


def _beast(name, libraries):
    folder = "beast/example/" + name
    base = name.replace("/", "_").replace("-", "_")
    if name.startswith("advanced/"):
        base = "advanced_" + base.split("_", 1)[1]
    else:
        kind, side, rest = name.split("/")
        base = f"{kind}_{side}_{rest}".replace("-", "_")
    coroutines = "awaitable" in name
    return Program(name="beast/" + name, sources=(f"{folder}/{base}.cpp",), standard=20 if coroutines else 17,
                   libraries=libraries + TLS, precompiled="beast")


def programs(list_folder):
    """All programs by name. list_folder(path) gives the names of the files in a folder below EXAMPLES."""
    found = [_asio(name, libraries, (f"asio/example/{name}.cpp",)) for name, libraries in ASIO.items()]
    for name, libraries in ASIO_FOLDERS.items():
        folder = f"asio/example/{name}"
        found.append(_asio(name, libraries, tuple(f"{folder}/{file}" for file in list_folder(folder)
                                                  if file.endswith(".cpp") and not file.startswith("win_"))))
    found += [_beast(name, libraries) for name, libraries in BEAST.items()]
    found.append(Program("beast/echo-op", ("beast/example/echo-op/echo_op.cpp",), 17, TLS,
                         precompiled="beast"))
    folder = "beast/example/websocket/server/chat-multi"
    found.append(Program("beast/websocket/server/chat-multi",
                         tuple(f"{folder}/{file}" for file in list_folder(folder) if file.endswith(".cpp")), 17, TLS,
                         precompiled="beast"))
    return {program.name: program for program in found}
