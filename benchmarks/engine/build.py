"""Builds `llama-server` and `llama-batched-bench` from the sources that llama-cpp-python carries.

`python -m benchmarks.engine.build` fetches the source distribution of the installed version, builds
with the flags of the wheel (Release, CPU instructions of this machine, shared libraries, and what
`CMAKE_ARGS` adds) and prints where the programs are. Done once per version: minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from idealprompt_cli.engines.options import available_cores
from idealprompt_cli.io.folders import user_cache_dir

PROGRAMS = ("llama-server", "llama-batched-bench")
_PACKAGE = "llama-cpp-python"
_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON",
    "-DBUILD_SHARED_LIBS=ON",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
)
_WITHOUT_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
AMX_FIX = (
    f"CMAKE_ARGS=\"-DCMAKE_C_FLAGS='{_WITHOUT_AMX}' -DCMAKE_CXX_FLAGS='{_WITHOUT_AMX}'\" "
    "pip install --force-reinstall --no-binary llama-cpp-python llama-cpp-python"
)
"""How to build the bindings like the servers."""


class BuildError(Exception):
    """The programs cannot be built here; the message states the fix."""


def default_cache() -> Path:
    """Where programs and models are kept between runs: gigabytes, safe to delete."""
    return user_cache_dir() / "bench"


def programs(cache: Path, jobs: int = 0) -> Path:
    """The folder with `PROGRAMS`, built there if they are missing. Raises `BuildError`."""
    root = cache / f"llama.cpp-{version()}"
    folder = root / "build" / "bin"
    if all((folder / name).is_file() for name in PROGRAMS):
        return folder
    for tool in ("cmake", "c++"):
        if not shutil.which(tool):
            raise BuildError(f"{tool} is needed to build llama-server; install it (cmake, g++)")
    root.mkdir(parents=True, exist_ok=True)
    with (root / "build.log").open("w") as log:
        source = _source(root, log.fileno())
        configure = ["cmake", "-S", str(source), "-B", str(root / "build"), *flags()]
        make = ["cmake", "--build", str(root / "build"), "--target", *PROGRAMS]
        _run(configure, log.fileno(), root)
        _run([*make, "-j", str(jobs or available_cores())], log.fileno(), root)
    return folder


def version() -> str:
    """The installed version of llama-cpp-python, whose sources are built."""
    from importlib.metadata import version as installed

    return installed(_PACKAGE)


def flags() -> list[str]:
    """The flags for cmake: those of the wheel, without AMX if the CPU has it, because its kernels
    crash with quantised weights. Build the wheel in the same way there."""
    found = [*_FLAGS, *shlex.split(os.environ.get("CMAKE_ARGS", ""))]
    if has_amx():
        found += [f"-DCMAKE_C_FLAGS={_WITHOUT_AMX}", f"-DCMAKE_CXX_FLAGS={_WITHOUT_AMX}"]
    return found


def has_amx() -> bool:
    """Whether the CPU advertises AMX (Linux)."""
    try:
        return " amx_" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def wheel_has_amx() -> bool:
    """Whether the installed llama-cpp-python computes with AMX: then the sides are not alike."""
    from llama_cpp import llama_cpp

    return b"AMX_INT8 = 1" in llama_cpp.llama_print_system_info()


def _source(root: Path, log: int) -> Path:
    """llama.cpp's sources below `root`, fetched with pip and unpacked if they are not there."""
    source = root / f"llama_cpp_python-{version()}" / "vendor" / "llama.cpp"
    if (source / "CMakeLists.txt").is_file():
        return source
    archive = root / f"llama_cpp_python-{version()}.tar.gz"
    if not archive.is_file():
        wanted = f"{_PACKAGE}=={version()}"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", _PACKAGE]
        fetch = [*command, "--dest", str(root), wanted]
        done = subprocess.run(fetch, stdout=log, stderr=log, check=False)
        if done.returncode or not archive.is_file():
            raise BuildError(
                f"pip could not fetch the sources of {wanted}; fetch {archive} by hand"
            )
    with tarfile.open(archive) as packed:
        packed.extractall(root, filter="data")
    return source


def _run(command: list[str], log: int, root: Path) -> None:
    done = subprocess.run(command, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise BuildError(f"building llama.cpp failed; {root / 'build.log'} says why")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--jobs", type=int, default=0, help="compilers at a time (default: cores)")
    options = parser.parse_args()
    print(programs(options.cache, options.jobs))


if __name__ == "__main__":
    main()
