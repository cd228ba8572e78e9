"""The kernels without TensorFlow: the CUDA ones run block by block on the CPU, in bench's harness.

What only a GPU can show, such as races between warps and memory errors, stays unseen here.
"""

import subprocess
from pathlib import Path

import pytest

from poseras.ops import build, library

HERE = Path(__file__).resolve().parent
HARNESS = HERE.parents[2] / "bench" / "nms_harness.cu"
CUDA = library.KERNELS / "suppression_cuda.cu"
CASES = 60

pytestmark = pytest.mark.skipif(build.find_compiler() is None, reason="no C++ compiler")


def build_harness(target: Path, cuda: Path = CUDA) -> Path:
    flags = ["-O1", "-std=c++17", "-ffp-contract=off", f"-I{library.KERNELS}"]
    emulation = ["-include", str(HERE / "emulated_cuda.h"), "-x", "c++"]
    sources = [str(path) for path in (HARNESS, cuda, library.KERNELS / "suppression.cc")]
    command = [build.find_compiler(), *flags, *emulation, *sources, "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def run_harness(program: Path, cases: int) -> subprocess.CompletedProcess:
    return subprocess.run([str(program), "check", str(cases)], capture_output=True, text=True)


def test_cuda_and_cpu_kernels_equal_the_definition(tmp_path):
    result = run_harness(build_harness(tmp_path / "harness"), CASES)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"0 of {CASES + 2} cases wrong" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("tile + i > row", "tile + i < row"),  # ties
        ("if (!(gone >> i & 1)) gone |= diagonal[i];", "gone |= diagonal[i];"),
        ("removed[threadIdx.x] |= joined;", ""),  # from tile to tile
        ("work.removed[image * work.words + word] |= joined;", ""),  # from chunk to chunk
        ("if (work.refused[image]) ", "if (false) "),
        ("if (high <= low) return false;", "if (high <= low + 5) return false;"),
        ("const int64_t target = found +", "const int64_t target ="),
        ("alive = ~gone;\n      }\n      __syncthreads();", "alive = ~gone;\n      }"),
    ],
)
def test_the_harness_sees_a_kernel_that_is_wrong(right, wrong, tmp_path):
    text = CUDA.read_text(encoding="utf-8")
    assert text.count(right) == 1
    broken = tmp_path / CUDA.name
    broken.write_text(text.replace(right, wrong), encoding="utf-8")
    result = run_harness(build_harness(tmp_path / "harness", broken), CASES)
    assert result.returncode != 0
