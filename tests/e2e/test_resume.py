"""Killed training goes on as if nothing had happened; the campaigns themselves are benches."""

import os
import subprocess
import sys

import pytest


def run(project_root, program, *arguments):
    result = subprocess.run(
        [sys.executable, str(project_root / "bench" / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    return result.stdout


def test_training_that_was_killed_twice_ends_bit_identical(project_root):
    output = run(project_root, "resume_campaign.py", "--kills", "1", "--moment", "twice")
    assert "1 of 1 killed runs ended bit-identical." in output


@pytest.mark.slow
def test_two_workers_agree_with_one_and_a_killed_pair_with_an_unharmed_one(project_root):
    output = run(project_root, "two_workers.py")
    assert "continued pair equals the unharmed one: yes" in output
