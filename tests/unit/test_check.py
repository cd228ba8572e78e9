from dataclasses import dataclass

import pytest

from poseras.check import check_at_least


@dataclass(frozen=True)
class Record:
    batch_size: int = 4
    momentum: float = -0.5


def test_a_setting_below_the_bound_is_named_in_full():
    check_at_least("train", Record(), 1, "batch_size")
    with pytest.raises(ValueError, match="train.momentum must be at least 0. Received -0.5"):
        check_at_least("train", Record(), 0, "batch_size momentum")
