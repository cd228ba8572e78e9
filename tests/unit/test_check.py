from dataclasses import dataclass
from typing import Literal

import pytest

from poseras.check import check_at_least, check_choices, check_positive


@dataclass(frozen=True)
class Record:
    batch_size: int = 4
    momentum: float = -0.5
    optimizer: Literal["adam", "sgd"] = "adam"


def test_a_setting_below_the_bound_is_named_in_full():
    check_at_least("train", Record(), 1, "batch_size")
    with pytest.raises(ValueError, match="train.momentum must be at least 0. Received -0.5"):
        check_at_least("train", Record(), 0, "batch_size momentum")


def test_a_setting_that_is_not_above_zero_is_named():
    check_positive(Record(), "batch_size")
    with pytest.raises(ValueError, match="momentum must be positive. Received -0.5"):
        check_positive(Record(), "batch_size momentum")
    with pytest.raises(ValueError, match="^batch_size must be positive. Received 0"):
        check_positive(Record(batch_size=0), "batch_size")
    with pytest.raises(ValueError, match="^train.batch_size must be positive. Received 0"):
        check_positive(Record(batch_size=0), "batch_size", "train")


def test_a_value_that_its_type_does_not_list_is_named_with_those_it_does():
    check_choices(Record())
    with pytest.raises(ValueError, match=r"optimizer must be one of \('adam', 'sgd'\). .* 'lamb'"):
        check_choices(Record(optimizer="lamb"))
