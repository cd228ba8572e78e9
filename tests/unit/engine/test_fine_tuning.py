"""Going on from a snapshot of another data set, as from COCO to PoseTrack."""

from pathlib import Path

import pytest

from poseras.engine.run_snapshots import check_continuation
from poseras.engine.snapshot import Snapshot


def metadata(dataset, *joints):
    return {
        "config": {"data.trainset": [dataset], "options.depth": 50},
        "skeleton": {"keypoints": list(joints)},
    }


def check(then, now):
    return check_continuation(Snapshot(Path("snapshot_140.safetensors"), {}, then, ""), now)


def test_another_data_set_with_as_many_joints_is_fine_tuned_and_told():
    then = metadata("COCO", "nose", "left_eye", "right_eye")
    notes = check(then, metadata("PoseTrack", "nose", "head_bottom", "head_top"))
    assert notes[0] == (
        "FINE-TUNED for other joints: left_eye -> head_bottom, right_eye -> head_top."
    )
    assert "data.trainset" in notes[1]


def test_another_number_of_joints_is_refused():
    then = metadata("COCO", "nose", "left_eye", "right_eye")
    with pytest.raises(ValueError, match=r"the joints \(.*train\.initial_weights="):
        check(then, metadata("MPII", "nose", "pelvis"))


def test_other_joints_of_the_same_data_set_are_refused():
    with pytest.raises(ValueError, match="the joints"):
        check(metadata("COCO", "nose", "left_eye"), metadata("COCO", "left_eye", "nose"))


def test_the_same_joints_need_no_word():
    assert check(metadata("COCO", "nose"), metadata("COCO", "nose")) == []
