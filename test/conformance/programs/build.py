# SPDX-License-Identifier: BSL-1.0
"""Compiles the originals and the renamed copies against the installed library, with a generated ninja file."""
import os
import pathlib
import re
import shutil
import subprocess

import catalogue
import rename

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent.parent

# The programs that verify their server trust these certificates instead of those of public authorities.
ROOT_CERTIFICATES = """\
// The certificates to trust are those of the file that the environment variable SSL_CERT_FILE names.
#include <boost/asio/ssl.hpp>
inline void load_root_certificates(boost::asio::ssl::context& ctx, boost::system::error_code& ec)
{
  ctx.set_default_verify_paths(ec);
}
inline void load_root_certificates(boost::asio::ssl::context& ctx) { ctx.set_default_verify_paths(); }
"""

PRECOMPILED = {
    "asio": "#include <boost/asio.hpp>\n",
    "beast": "#include <boost/asio.hpp>\n#include <boost/asio/ssl.hpp>\n#include <boost/beast.hpp>\n"
             "#include <boost/beast/ssl.hpp>\n",
}

# So many programs have to use a header before it is worth precompiling.
WORTH_PRECOMPILING = 6

# What to include in place of the alias header of the library, as long as that is not installed.
TCP_STREAM_ALIAS = """\
#include <shm.hpp>
#include <boost/beast/core/basic_stream.hpp>
namespace shm {
using tcp_stream = boost::beast::basic_stream<stream_protocol>;
}
"""


def write_if_changed(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def install_library(folder, finished=None):
    """Installs the library below the folder, from a finished build or from one made here; returns the prefix."""
    prefix = folder / "prefix"
    commands = []
    if not finished:
        finished = folder / "library"
        launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        commands = [
            ["cmake", "-S", str(PROJECT), "-B", str(finished), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
             "-DCMAKE_CXX_FLAGS_DEBUG=-O0", "-DASIO_SHM_BUILD_TESTS=OFF", "-DASIO_SHM_BUILD_EXAMPLES=OFF", *launcher],
            ["cmake", "--build", str(finished), "--parallel", "2"]]
    for command in commands + [["cmake", "--install", str(finished), "--prefix", str(prefix)]]:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return prefix


def library_folder(prefix):
    for candidate in sorted(prefix.glob("lib*/**/libasio_shm.*")):
        if candidate.suffix in (".a", ".so"):
            return candidate.parent
    raise SystemExit(f"no libasio_shm below {prefix}")


class Build:
    """The build folder: renamed sources, precompiled headers, objects, programs."""

    def __init__(self, folder, prefix, programs):
        self.folder = folder
        self.prefix = prefix
        self.programs = programs
        self.lines = []
        self.precompiled = set()

    def binary(self, program, transport):
        """Where the program's executable is; transport is the original's or shm."""
        return self.folder / "bin" / transport / program.name

    @property
    def raw_peer(self):
        return self.folder / "bin" / "raw_peer"

    def run(self, jobs):
        """Compiles what changed. Returns the names of the programs that fail: {(program, transport): reason}."""
        self._write_sources()
        self._write_ninja()
        result = subprocess.run(["ninja", "-C", str(self.folder), "-k", "0", "-j", str(jobs)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        (self.folder / "build.log").write_text(result.stdout)
        if not self.raw_peer.exists():
            raise SystemExit(f"raw_peer.cpp does not compile:\n{result.stdout[-4000:]}")
        failed = {}
        for program in self.programs.values():
            for transport in (program.before, "shm"):
                if not self.binary(program, transport).exists():
                    failed[program.name, transport] = self._error_of(program, transport, result.stdout)
        return failed

    def _error_of(self, program, transport, log):
        stems = [f"obj/{transport}/{program.name}/{pathlib.Path(source).name}.o" for source in program.sources]
        for block in re.split(r"^FAILED: ", log, flags=re.MULTILINE)[1:]:
            if block.startswith(tuple(stems)) or block.startswith(f"bin/{transport}/{program.name}"):
                error = re.search(r"(\berror: |undefined reference).*", block)
                return "does not compile: " + (error.group(0) if error else block.splitlines()[-1])
        return "does not compile"

    def _write_sources(self):
        """The renamed copies, of the folders of the programs and of what they share."""
        header = self.prefix / "include" / "shm" / "beast.hpp"
        write_if_changed(self.folder / "overlay/example/common/root_certificates.hpp", ROOT_CERTIFICATES)
        write_if_changed(self.folder / "overlay/shm_and_beast.hpp",
                         "#include <shm.hpp>\n#include <shm/beast.hpp>\n" if header.exists() else TCP_STREAM_ALIAS)
        folders = {os.path.dirname(source) for program in self.programs.values() for source in program.sources}
        folders.add("beast/example/common")
        for folder in sorted(folders):
            for entry in sorted(os.listdir(os.path.join(catalogue.EXAMPLES, folder))):
                source = pathlib.Path(catalogue.EXAMPLES, folder, entry)
                if source.suffix not in (".cpp", ".hpp", ".ipp"):
                    continue
                text = rename.renamed(source.read_text(),
                                      "shm_and_beast.hpp" if folder.startswith("beast/") else "shm.hpp")
                write_if_changed(self.folder / "renamed" / folder / entry, text)

    def _flags(self, program, transport):
        root = catalogue.EXAMPLES if transport != "shm" else str(self.folder / "renamed")
        flags = [f"-std=c++{program.standard}", *program.defines]
        if program.defines:  # one names a header that lies with the program
            flags.append(f"-I{root}/{os.path.dirname(program.sources[0])}")
        include = ["-I" + str(self.folder / "overlay"), "-I" + root + "/beast"]
        if transport == "shm":
            include.append("-I" + str(self.prefix / "include"))
        return flags, include

    def _precompiled(self, program, transport, flags, include):
        """The header that is precompiled for the program, if any: [option to use it], [what to depend on]."""
        users = sum((other.precompiled, other.standard) == (program.precompiled, program.standard)
                    for other in self.programs.values())
        if not program.precompiled or users < WORTH_PRECOMPILING:
            return [], []
        kind = "shm" if transport == "shm" else "plain"
        name = f"pch/{program.precompiled}{program.standard}_{kind}.hpp"
        if name not in self.precompiled:
            self.precompiled.add(name)
            shm = {"asio": "#include <shm.hpp>\n", "beast": "#include <shm_and_beast.hpp>\n"}[program.precompiled]
            write_if_changed(self.folder / name,
                             (shm if kind == "shm" else "") + PRECOMPILED[program.precompiled])
            self.lines += [f"build {name}.gch: precompile {self.folder / name}",
                           f"  flags = {' '.join(flags + include)}"]
        return ["-include", name, "-Winvalid-pch"], [name + ".gch"]

    def _write_ninja(self):
        compiler = ("ccache " if shutil.which("ccache") else "") + "g++ -O0 -w -pthread -fpch-preprocess"
        # A failure removes what an earlier build left, so that the runner does not take it for a success.
        self.lines = [
            "rule precompile", f"  command = {compiler} $flags -x c++-header -MD -MF $out.d $in -o $out",
            "  depfile = $out.d", "  deps = gcc",
            "rule compile", f"  command = rm -f $program; {compiler} $flags -MD -MF $out.d -c $in -o $out",
            "  depfile = $out.d", "  deps = gcc",
            "rule link", "  command = rm -f $out; g++ -pthread $in $libraries -o $out"]
        shm_libraries = [f"-L{library_folder(self.prefix)}", f"-Wl,-rpath,{library_folder(self.prefix)}", "-lasio_shm"]
        archive = sorted(str(path) for path in library_folder(self.prefix).glob("libasio_shm.*"))[0]
        for program in self.programs.values():
            for transport in (program.before, "shm"):
                self._add(program, transport, shm_libraries, archive)
        self.lines += [f"build obj/raw_peer.o: compile {HERE / 'raw_peer.cpp'}",
                       f"  flags = -std=c++17 -I{self.prefix / 'include'}",
                       f"build {self.raw_peer}: link obj/raw_peer.o | {archive}",
                       f"  libraries = {' '.join(shm_libraries)}"]
        write_if_changed(self.folder / "build.ninja", "\n".join(self.lines) + "\n")

    def _add(self, program, transport, shm_libraries, archive):
        flags, include = self._flags(program, transport)
        use, needs = self._precompiled(program, transport, flags, include)
        binary = f"bin/{transport}/{program.name}"
        root = catalogue.EXAMPLES if transport != "shm" else str(self.folder / "renamed")
        objects = []
        for source in program.sources:
            name = f"obj/{transport}/{program.name}/{pathlib.Path(source).name}.o"
            objects.append(name)
            implicit = f" | {' '.join(needs)}" if needs else ""
            self.lines += [f"build {name}: compile {root}/{source}{implicit}",
                           f"  flags = {' '.join(use + flags + include)}", f"  program = {binary}"]
        libraries = [f"-l{name}" for name in program.libraries]
        shm = transport == "shm"
        self.lines += [f"build {binary}: link {' '.join(objects)}{' | ' + archive if shm else ''}",
                       f"  libraries = {' '.join((shm_libraries if shm else []) + libraries)}"]
