import pytest
import tensorflow as tf

from poseras.data.sample_log import SampleLog


def test_of_several_errors_the_one_of_the_earliest_batch_is_raised():
    log = SampleLog()
    for number in (8, 3, 5):
        log.stop(number, ValueError(f"batch {number}"))
    with pytest.raises(ValueError, match="batch 3"), log.original_errors():
        tf.io.decode_jpeg(b"no")


def test_other_errors_of_tensorflow_pass_unchanged():
    with pytest.raises(tf.errors.InvalidArgumentError), SampleLog().original_errors():
        tf.io.decode_jpeg(b"no")


def test_nothing_skipped_says_so():
    assert SampleLog().summary() == "No sample was skipped."


def test_a_long_list_of_skipped_samples_is_cut_short_and_counted():
    log = SampleLog()
    for row in (6, 5, 4, 3, 2, 1, 0, 3):
        log.skip(row, ValueError(f"picture {row} is bad"))
    assert log.summary().startswith("Skipped 7 bad sample(s): picture 0 is bad | picture 1")
    assert log.summary().endswith("| and 2 more")
