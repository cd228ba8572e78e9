"""Learning rates of the original's `get_lr`."""

from poseras.engine.schedule import Schedule


def test_learning_rates_equal_the_originals_exactly(golden):
    cases = golden.load("simple_baselines/datasets_and_schedule.json")["get_lr"]
    assert cases
    for case in cases:
        schedule = Schedule(
            steps_per_epoch=7,
            end_epoch=max(case["epochs"]) + 1,
            learning_rate=case["lr"],
            decay_epochs=tuple(case["lr_dec_epoch"]),
            decay_factor=case["lr_dec_factor"],
        )
        for epoch, expected in zip(case["epochs"], case["values"], strict=True):
            # Both the first and the last step of the epoch: the original's last iteration already
            # had the next epoch's rate.
            assert schedule.rate_at(7 * epoch) == expected
            assert schedule.rate_at(7 * epoch + 6) == expected
