"""The GPU numbers that `--gpu` means, against TF-SimpleHumanPose's own reading of it."""

from poseras.engine.distribute import parse_gpus


def test_gpu_argument_means_what_it_means_to_the_original(golden):
    cases = golden.load("simple_baselines/datasets_and_schedule.json").get("gpu_argument", [])
    assert cases, "the golden file holds no GPU argument"
    for case in cases:
        expected = tuple(int(number) for number in case["gpu_ids"].split(","))
        assert parse_gpus(case["argument"], case["gpus_present"]) == expected, case["argument"]
