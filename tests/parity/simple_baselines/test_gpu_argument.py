"""The GPU numbers that `--gpu` means, against TF-SimpleHumanPose's own reading of it."""

import re

import pytest

from poseras.engine.distribute import parse_gpus


def test_gpu_argument_means_what_it_means_to_the_original(golden):
    cases = golden.load("simple_baselines/datasets_and_schedule.json").get("gpu_argument", [])
    assert cases, "the golden file holds no GPU argument"
    for case in cases:
        argument, present = case["argument"], case["gpus_present"]
        expected = tuple(int(number) for number in case["gpu_ids"].split(",") if number)
        if not expected or max(expected) >= present or not re.fullmatch(r"[\d,-]+", argument):
            # The original takes a word for a 0 and names GPUs that are not there; ours says so.
            with pytest.raises(ValueError, match="--gpu"):
                parse_gpus(argument, present)
        else:
            assert parse_gpus(argument, present) == expected, argument
