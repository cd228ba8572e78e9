import pytest

from poseras.engine.schedule import Schedule, count_steps_per_epoch


def make(**changes):
    given = {"steps_per_epoch": 10, "end_epoch": 5, "learning_rate": 1.0, "decay_epochs": (2, 4)}
    return Schedule(**{**given, **changes})


def test_the_rate_falls_at_the_first_step_of_a_decay_epoch_and_not_before():
    schedule = make()
    assert [schedule.rate_at(step) for step in (0, 19, 20, 39, 40, 49)] == [
        *(1.0, 1.0, 0.1, 0.1, 0.01, 0.01)
    ]


def test_the_run_ends_after_its_epochs():
    assert make().end_step == 50
    assert make().epoch_at(49) == 4


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps_per_epoch": 0}, "steps_per_epoch must be at least 1. Received 0"),
        ({"decay_epochs": (4, 2)}, "train.decay_epochs must ascend .*Received \\[4, 2\\]"),
        ({"decay_epochs": (2, 2)}, "name each of them once"),
        ({"decay_factor": 0.0}, "decay_factor must be positive"),
    ],
)
def test_impossible_schedules_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_an_epoch_sees_every_sample_about_once():
    assert count_steps_per_epoch(100, 32) == 4
    assert count_steps_per_epoch(96, 32) == 3
    assert count_steps_per_epoch(1, 32) == 1


def test_an_empty_training_set_is_an_error():
    with pytest.raises(ValueError, match="at least one sample. Received none; check data.trainset"):
        count_steps_per_epoch(0, 32)


def test_a_cosine_falls_from_the_rate_to_its_final_fraction_over_the_run():
    schedule = make(schedule="cosine", final_fraction=0.1)
    assert schedule.rate_at(0) == 1.0
    assert schedule.rate_at(25) == pytest.approx(0.1 + 0.9 * 0.5)
    assert schedule.rate_at(50) == pytest.approx(0.1)


def test_a_warm_up_rises_linearly_to_the_rate_of_the_schedule():
    schedule = make(warmup_steps=4)
    assert [schedule.rate_at(step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_final_fraction_beyond_one_is_refused():
    with pytest.raises(ValueError, match="final_fraction must be in 0..1. Received 1.5"):
        make(final_fraction=1.5)


def test_a_flat_first_half_stays_at_the_rate_and_the_cosine_takes_the_second():
    schedule = make(schedule="cosine", flat_fraction=0.5, final_fraction=0.05)  # 50 steps
    assert [schedule.rate_at(step) for step in (0, 24, 25)] == [1.0, 1.0, 1.0]
    # The middle of the wave is step 37.5; at step 30 it is a fifth of the way, 36 degrees.
    assert schedule.rate_at(37) > 0.05 + 0.95 * 0.5 > schedule.rate_at(38)
    assert schedule.rate_at(30) == pytest.approx(0.05 + 0.95 * (1 + 0.8090170) / 2)
    assert schedule.rate_at(50) == pytest.approx(0.05)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"flat_fraction": 1.0}, "flat_fraction must be at least 0 and below 1. Received 1.0"),
        ({"flat_fraction": 0.5, "schedule": "step"}, "flat_fraction is for the schedule cosine"),
    ],
)
def test_a_flat_part_that_no_cosine_follows_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**{"schedule": "cosine", **changes})


def test_rates_by_step_ignore_epochs_and_the_run_may_end_within_one():
    schedule = Schedule(
        steps_per_epoch=10,
        learning_rate=0.1,
        decay_steps=(3, 14),
        decay_factors=(4, 0.5),
        total_steps=25,
    )
    rates = [schedule.rate_at(step) for step in (0, 2, 3, 13, 14, 24)]
    assert rates == pytest.approx([0.1, 0.1, 0.4, 0.4, 0.05, 0.05])
    assert schedule.end_step == 25 and schedule.last_epoch == 3
    plain = Schedule(steps_per_epoch=10, end_epoch=2)
    assert plain.end_step == 20 and plain.last_epoch == 2
    with pytest.raises(ValueError, match="each of 2 decay_steps"):
        Schedule(steps_per_epoch=10, decay_steps=(3, 14), decay_factors=(4,))
    with pytest.raises(ValueError, match="train.decay_steps must ascend"):
        Schedule(steps_per_epoch=10, decay_steps=(14, 3))


def test_epochs_of_another_length_move_what_is_set_in_epochs_alone():
    """Fifty steps in epochs of 10 are half of ten epochs; so they stay when epochs have 5."""
    cosine = {"end_epoch": 10, "schedule": "cosine", "learning_rate": 1.0, "warmup_steps": 60}
    before, after = Schedule(10, **cosine), Schedule(5, steps_ahead=-25, **cosine)
    assert before.epoch_at(50) == after.epoch_at(50) == 5
    assert before.rate_at(50) == after.rate_at(50) == pytest.approx(0.5 * 51 / 60)
    assert after.end_step == 75 and after.last_epoch == 10
    assert [after.steps_within(done) for done in (50, 52, 55)] == [0, 2, 0]
    assert [after.epochs_begun(done) for done in (50, 52, 55, 75)] == [5, 6, 6, 10]
    decayed = Schedule(5, steps_ahead=-25, learning_rate=1.0, decay_epochs=(6,), end_epoch=10)
    assert [decayed.rate_at(step) for step in (54, 55)] == [1.0, 0.1]
    by_steps = Schedule(5, steps_ahead=-25, total_steps=100, schedule="cosine", learning_rate=1.0)
    assert by_steps.end_step == 100 and by_steps.rate_at(50) == pytest.approx(0.5)
