"""Build the compiled operations into the package: `python -m poseras.ops.build`, or `make ops`.

There are two libraries, NMS and the multicut. The CPU kernels need a C++ compiler; the CUDA kernels
of NMS are added where nvcc is found. Nothing is built when a library is up to date, and nothing
fails where there is no compiler: poseras then works in NumPy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import multicut_compiled
from .library import KERNELS, LIBRARY, hash_sources, read_identity

# No fused multiply-add, or the kernels and the reference would differ in the last place. The other
# two let the compiler compute both sides of a choice, eight at a time; they change no result.
_EXACT = ["-ffp-contract=off"]
_CPU_FLAGS = ["-O3", "-std=c++17", "-fPIC", *_EXACT, "-fno-math-errno", "-fno-trapping-math"]
_CUDA_FLAGS = ["-O3", "-std=c++17", "-fmad=false", "-Xcompiler", ",".join(["-fPIC", *_EXACT])]

#: Compute capabilities worth code of their own, from Volta to consumer Blackwell.
CAPABILITIES = (70, 75, 80, 86, 89, 90, 100, 120)


@dataclass(frozen=True)
class Nvcc:
    """A CUDA compiler: its path, its version and the capabilities it compiles for."""

    path: str
    version: str
    capabilities: tuple[int, ...]

    def architecture_flags(self) -> list[str]:
        """Code for each capability, and PTX of the newest for cards to come."""
        flags = [f"-gencode=arch=compute_{c},code=sm_{c}" for c in self.capabilities]
        newest = self.capabilities[-1]
        return [*flags, f"-gencode=arch=compute_{newest},code=compute_{newest}"]


class CompilerError(RuntimeError):
    """A compiler stopped; the text holds the end of what it said."""


def find_compiler() -> str | None:
    """The C++ compiler: $CXX where that is set, otherwise the first of c++, g++, clang++."""
    named = os.environ.get("CXX")
    found = [shutil.which(name) for name in ([named] if named else ["c++", "g++", "clang++"])]
    return next((path for path in found if path), None)


def find_nvcc() -> Nvcc | None:
    """The CUDA compiler of the path or of /usr/local/cuda, if there is one that answers."""
    path = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    if path is None:
        return None
    version = re.search(r"release (\d+\.\d+)", _ask(path, "--version"))
    known = {int(code) for code in re.findall(r"sm_(\d+)\b", _ask(path, "--list-gpu-code"))}
    capabilities = tuple(c for c in CAPABILITIES if c in known)
    return Nvcc(path, version[1], capabilities) if version and capabilities else None


def compile_cuda(nvcc: Nvcc, compiler: str, target: Path) -> None:
    """The object file of the CUDA kernels; it needs no TensorFlow.

    Raises:
        CompilerError: nvcc stopped.
    """
    source = KERNELS / "suppression_cuda.cu"
    flags = [*_CUDA_FLAGS, *nvcc.architecture_flags(), "-ccbin", compiler]
    _run([nvcc.path, "-c", str(source), "-o", str(target), *flags])


def build_library(target: Path, compiler: str, nvcc: Nvcc | None, cuda: str) -> None:
    """Compile and link the operations.

    Args:
        target: the file to write, replaced only when all has gone well.
        compiler: path of the C++ compiler.
        nvcc: None leaves the CUDA kernels out.
        cuda: what the library's identity says of CUDA.

    Raises:
        CompilerError: a compiler stopped.
    """
    import tensorflow as tf

    identity = f"tensorflow={tf.__version__};sources={hash_sources()};cuda={cuda}"
    include = [f.replace("-I", "-isystem", 1) for f in tf.sysconfig.get_compile_flags()]
    registration = [*include, "-Wno-deprecated-declarations", f'-DPOSERAS_IDENTITY="{identity}"']
    if nvcc:
        registration.append("-DPOSERAS_CUDA")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as name:
        folder = Path(name)
        objects = [folder / "registration.o", folder / "suppression.o"]
        flags = [registration, []]
        with ThreadPoolExecutor() as pool:
            jobs = [
                pool.submit(_compile, compiler, output, extra)
                for output, extra in zip(objects, flags, strict=True)
            ]
            if nvcc:
                objects.append(folder / "suppression_cuda.o")
                jobs.append(pool.submit(compile_cuda, nvcc, compiler, objects[-1]))
            for job in jobs:
                job.result()
        library = folder / target.name
        _link(compiler, nvcc, objects, library, tf.sysconfig.get_link_flags())
        library.replace(target)


def build_multicut(target: Path, compiler: str, flags: tuple[str, ...] = ()) -> None:
    """Compile the multicut solver, which needs no TensorFlow.

    Args:
        target: the file to write, replaced only when all has gone well.
        compiler: path of the C++ compiler.
        flags: more of them for the compiler.

    Raises:
        CompilerError: it stopped.
    """
    sources = [str(KERNELS / name) for name in ("multicut.cc", "multicut_exchange.cc")]
    identity = f'-DPOSERAS_IDENTITY="sources={hash_sources()}"'
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as name:
        library = Path(name) / target.name
        _run([compiler, "-shared", "-o", str(library), *_CPU_FLAGS, identity, *sources, *flags])
        library.replace(target)


def is_up_to_date(target: Path, tensorflow_version: str, nvcc: Nvcc | None) -> bool:
    """Whether a library was built from these kernels for this TensorFlow with this nvcc."""
    if not target.exists():
        return False
    identity = read_identity(target)
    return (
        identity.get("tensorflow") == tensorflow_version
        and identity.get("sources") == hash_sources()
        and identity.get("cuda") in _cuda_identities(nvcc)
    )


def main(target: Path = LIBRARY) -> int:
    """Build NMS where it is not up to date and say in one line what there is; the exit status."""
    compiler, nvcc = find_compiler(), find_nvcc()
    if compiler is None:
        print("No C++ compiler was found (c++, g++, clang++ or $CXX), so NMS will run in NumPy.")
        return 0
    import tensorflow as tf

    built, failed = _cuda_identities(nvcc)
    if is_up_to_date(target, tf.__version__, nvcc):
        print(f"{target} is up to date (CUDA: {read_identity(target)['cuda']}).")
        return 0
    try:
        try:
            build_library(target, compiler, nvcc, built)
        except CompilerError as error:
            if nvcc is None:
                raise
            print(f"{error}\nBuilding once more, without the CUDA kernels.")
            build_library(target, compiler, None, failed)
    except CompilerError as error:
        print(f"{error}\nThe NMS op could not be built; poseras works without it, in NumPy.")
        return 1
    print(f"{target} was built (CUDA: {read_identity(target)['cuda']}).")
    return 0


def main_multicut(target: Path = multicut_compiled.LIBRARY) -> int:
    """`main` for the multicut."""
    compiler = find_compiler()
    if compiler is None:
        print("No C++ compiler was found, so the multicut will run in NumPy.")
        return 0
    if multicut_compiled.is_up_to_date(target):
        print(f"{target} is up to date.")
        return 0
    try:
        build_multicut(target, compiler)
    except CompilerError as error:
        print(f"{error}\nThe multicut could not be built; poseras works without it, in NumPy.")
        return 1
    print(f"{target} was built.")
    return 0


def _cuda_identities(nvcc: Nvcc | None) -> tuple[str, str]:
    """What an identity says of CUDA when the kernels are in, and when nvcc had stopped."""
    return (nvcc.version, f"nvcc {nvcc.version} failed") if nvcc else ("none", "none")


def _compile(compiler: str, target: Path, flags: list[str]) -> None:
    """One C++ file of the kernels, the one that the object is named after."""
    source = (KERNELS / target.name).with_suffix(".cc")
    _run([compiler, "-c", str(source), "-o", str(target), *_CPU_FLAGS, *flags])


def _link(
    compiler: str, nvcc: Nvcc | None, objects: list[Path], target: Path, flags: list[str]
) -> None:
    """One library of the objects; nvcc knows where its own runtime lies."""
    files = [str(path) for path in objects]
    if nvcc:
        runtime = ["-cudart", "static", "-ccbin", compiler]
        _run([nvcc.path, "-shared", "-o", str(target), *files, *runtime, *flags])
        return
    late = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    _run([compiler, "-shared", "-o", str(target), *files, *flags, *late])


def _run(command: list[str]) -> None:
    """Run a compiler, or raise with the last lines it wrote."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        said = "\n".join(result.stderr.strip().splitlines()[-20:])
        raise CompilerError(f"{command[0]} stopped with status {result.returncode}:\n{said}")


def _ask(*command: str) -> str:
    """What a program prints; empty if it fails."""
    return subprocess.run(command, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(max(main_multicut(), main()))
