"""Which snapshot of a run is meant, and whether its weights fit a model."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from poseras.engine import snapshot, snapshot_lookup


def write_numbered(folder: Path, number: int | str, step: int, system: str = "a") -> Path:
    path = snapshot.snapshot_path(folder, number)
    metadata = {"system": system, "counters": {"step": step}}
    snapshot.write_snapshot(path, {"weights/a": np.full(50, step, np.float32)}, metadata)
    return path


def damage(path: Path) -> None:
    """Flip one bit of the last array."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_snapshots_are_listed_by_number_and_nothing_else_is(tmp_path: Path):
    for number in (10, 9, 2, snapshot.ROLLING, "best"):
        write_numbered(tmp_path, number, step=1)
    (tmp_path / "snapshot_3.ckpt.index").touch()
    (tmp_path / "snapshot_4.safetensors.bak").touch()
    assert list(snapshot.list_snapshots(tmp_path)) == [2, 9, 10]
    assert snapshot.list_snapshots(tmp_path / "absent") == {}


def test_the_newest_snapshot_is_the_one_with_most_steps_not_the_youngest_file(tmp_path: Path):
    write_numbered(tmp_path, snapshot.ROLLING, step=25)
    write_numbered(tmp_path, 2, step=20)
    young = write_numbered(tmp_path, 1, step=10)
    os.utime(young, (2e9, 2e9))
    found, damaged = snapshot.newest_valid(tmp_path)
    assert found.path == snapshot.snapshot_path(tmp_path, snapshot.ROLLING)
    assert damaged == []


def test_of_two_snapshots_with_equal_steps_the_numbered_one_is_taken(tmp_path: Path):
    write_numbered(tmp_path, snapshot.ROLLING, step=20)
    path = write_numbered(tmp_path, 2, step=20)
    assert snapshot.newest_valid(tmp_path)[0].path == path


def test_a_damaged_newest_snapshot_is_reported_and_the_one_before_it_is_used(tmp_path: Path):
    before = write_numbered(tmp_path, 1, step=10)
    newest = write_numbered(tmp_path, 2, step=20)
    damage(newest)
    found, damaged = snapshot.newest_valid(tmp_path)
    assert found.path == before
    assert len(damaged) == 1
    assert str(newest) in damaged[0]

    newest.write_bytes(newest.read_bytes()[:50])
    found, damaged = snapshot.newest_valid(tmp_path)
    assert found.path == before
    assert str(newest) in damaged[0]


def test_a_newest_snapshot_damaged_in_its_counters_is_reported_too(tmp_path: Path):
    before = write_numbered(tmp_path, 1, step=10)
    newest = write_numbered(tmp_path, 2, step=20)
    whole = newest.read_bytes()
    first = whole.index(b"counters")
    for byte in range(first, first + len(b'counters\\": {\\"step\\": 20}}')):
        content = bytearray(whole)
        content[byte] ^= 1
        newest.write_bytes(content)
        found, damaged = snapshot.newest_valid(tmp_path)
        assert found.path == before
        assert [str(newest) in line for line in damaged] == [True]


def test_a_folder_without_snapshots_has_no_newest_one(tmp_path: Path):
    assert snapshot.newest_valid(tmp_path) == (None, [])
    assert snapshot.newest_valid(tmp_path / "absent") == (None, [])


def test_a_folder_of_damaged_snapshots_does_not_count_as_empty(tmp_path: Path):
    for number in (1, 2):
        damage(write_numbered(tmp_path, number, step=number))
    with pytest.raises(ValueError, match=r"^All 2 snapshots in .* are damaged; move them away"):
        snapshot.newest_valid(tmp_path)


def test_the_runs_own_snapshot_comes_first_and_a_stray_one_is_reported(tmp_path: Path):
    own = write_numbered(tmp_path / "COCO" / "run", 3, step=3)
    stray = write_numbered(tmp_path, 3, step=4)
    found = snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", 3, system="a")
    assert found.path == own
    assert found.notes == (f"{stray} is not used: the run has its own.",)


def test_without_a_number_the_highest_of_the_run_is_taken(tmp_path: Path):
    write_numbered(tmp_path / "COCO" / "run", 9, step=90)
    own = write_numbered(tmp_path / "COCO" / "run", 10, step=100)
    assert snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", system="a").path == own


@pytest.mark.parametrize("place", ["COCO", "."])
def test_a_snapshot_placed_by_hand_is_used_when_the_run_has_none_of_that_number(
    tmp_path: Path, place: str
):
    write_numbered(tmp_path / "COCO" / "run", 2, step=2)
    stray = write_numbered(tmp_path / place, 140, step=4)
    found = snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", 140, system="a")
    assert found.path == stray
    assert found.notes == (f"{stray} is used: the run run has no snapshot_140 of its own.",)


def test_a_stray_snapshot_of_another_system_is_passed_over_with_its_reason(tmp_path: Path):
    other = write_numbered(tmp_path / "COCO", 5, step=1, system="b")
    with pytest.raises(FileNotFoundError, match=f"{other} is not used: it was written for b, not"):
        snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", 5, system="a")
    fitting = write_numbered(tmp_path, 5, step=1)
    found = snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", 5, system="a")
    assert found.path == fitting
    assert "was written for b" in found.notes[0]


def test_a_foreign_or_damaged_stray_file_is_named(tmp_path: Path):
    (tmp_path / "snapshot_140.ckpt.index").touch()
    (tmp_path / "snapshot_140.ckpt.meta").touch()
    with pytest.raises(FileNotFoundError, match=r"snapshot_140\.ckpt is not used: it is no \.safe"):
        snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", 140, system="a")
    (tmp_path / "snapshot_140.safetensors").touch()
    with pytest.raises(FileNotFoundError, match=r"140\.safetensors is not used: .* is cut off"):
        snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", 140, system="a")


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (("snapshot_140.ckpt.index", "snapshot_140.ckpt.meta"), "snapshot_140.ckpt"),
        (("snapshot_140.pth.tar",), "snapshot_140.pth.tar"),
        (("snapshot_140.pth", "snapshot_140.ckpt.index"), "snapshot_140.ckpt"),
    ],
)
def test_a_foreign_checkpoint_whose_names_fit_is_used(tmp_path: Path, files, name):
    asked = []
    for file in files:
        (tmp_path / file).touch()

    def find(reason: str) -> snapshot_lookup.FoundSnapshot:
        def explain(path: Path) -> str:
            asked.append(path)
            return reason

        return snapshot_lookup.find_snapshot(
            tmp_path, "COCO", "run", 140, system="a", explain_misfit=explain
        )

    assert find("").path == tmp_path / name
    assert asked == [tmp_path / name]
    with pytest.raises(FileNotFoundError, match=f"{name} is not used: it has no head."):
        find("it has no head")


def test_a_file_of_an_unknown_ending_is_passed_over_by_name(tmp_path: Path):
    (tmp_path / "snapshot_140.safetensors.bak").touch()
    with pytest.raises(FileNotFoundError, match=r"bak is not used: its name must end in one of"):
        snapshot_lookup.find_snapshot(
            tmp_path, "COCO", "run", 140, system="a", explain_misfit=lambda path: ""
        )


def test_nothing_found_says_where_and_what_is_there(tmp_path: Path):
    folder = tmp_path / "COCO" / "run"
    with pytest.raises(FileNotFoundError, match=r"^There is no snapshot_140 in .* main/train\.py"):
        snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", 140, system="a")
    with pytest.raises(FileNotFoundError, match=f"^There is no snapshot in {folder}"):
        snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", system="a")
    for number in range(12):
        write_numbered(folder, number, step=number)
    with pytest.raises(
        FileNotFoundError, match=r"It has snapshot_0, 1, 2, 3, \.\.\., 8, 9, 10, 11;"
    ):
        snapshot_lookup.find_snapshot(tmp_path, "COCO", "run", 140, system="a")


class FakeVariable:
    """What collect_weights and assign_weights ask of a Keras variable."""

    def __init__(self, path: str, value: np.ndarray):
        self.path, self.value = path, value

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self.value

    def assign(self, value: np.ndarray) -> None:
        self.value = value.astype(self.value.dtype)


def made_up_model(joints: int = 3, **extra: np.ndarray) -> SimpleNamespace:
    values = {"conv1/kernel": np.ones((1, 1, 2, 4)), "out/kernel": np.ones((1, 1, 4, joints))}
    weights = [FakeVariable(path, value) for path, value in {**values, **extra}.items()]
    return SimpleNamespace(name="network", weights=weights)


def test_collected_weights_are_copies_that_later_training_does_not_change():
    model = made_up_model()
    arrays = snapshot.collect_weights(model)
    model.weights[0].value += 1
    assert arrays.keys() == {"weights/conv1/kernel", "weights/out/kernel"}
    assert (arrays["weights/conv1/kernel"] == 1).all()


def test_two_weights_of_one_path_are_an_error():
    model = made_up_model()
    model.weights.append(model.weights[0])
    with pytest.raises(ValueError, match="unique. Received weights/conv1/kernel twice"):
        snapshot.collect_weights(model)


def test_weights_are_assigned_by_path_and_averages_are_taken_on_request():
    arrays = {
        "weights/out/kernel": np.full((1, 1, 4, 3), 5.0, np.float16),
        "weights/conv1/kernel": np.full((1, 1, 2, 4), 6.0),
        "ema/out/kernel": np.full((1, 1, 4, 3), 7.0),
        "optimizer/iteration": np.array(3),
    }
    model = made_up_model()
    snapshot.assign_weights(model, arrays)
    assert [w.value.flat[0] for w in model.weights] == [6.0, 5.0]
    snapshot.assign_weights(model, arrays, use_ema=True)
    assert [w.value.flat[0] for w in model.weights] == [6.0, 7.0]


def test_a_snapshot_of_another_joint_count_names_both_shapes_and_changes_nothing():
    arrays = snapshot.collect_weights(made_up_model(joints=5))
    model = made_up_model(joints=3)
    model.weights[0].value[:] = 9
    message = (
        r"^A\.safetensors does not fit the model network: out/kernel is \(1, 1, 4, 5\) in the "
        r"snapshot and \(1, 1, 4, 3\) in the model\.$"
    )
    with pytest.raises(ValueError, match=message):
        snapshot.assign_weights(model, arrays, source="A.safetensors")
    assert (model.weights[0].value == 9).all()


def test_a_snapshot_of_another_architecture_names_the_first_differences_of_both_sides():
    arrays = snapshot.collect_weights(made_up_model(**{"layer1/gamma": np.ones(3)}))
    model = made_up_model(**{"block1/gamma": np.ones(3), "block2/gamma": np.ones(3)})
    message = (
        "only the snapshot has layer1/gamma; "
        r"only the model has block1/gamma \(and 1 more\)\.$"
    )
    with pytest.raises(ValueError, match=message):
        snapshot.assign_weights(model, arrays)


def test_a_keras_model_goes_through_a_snapshot_bit_for_bit(tmp_path: Path):
    keras = pytest.importorskip("keras")

    def build() -> "keras.Model":
        image = keras.Input((4, 4, 3))
        maps = keras.layers.Conv2D(2, 3, name="block1.unit_1.conv1")(image)
        maps = keras.layers.BatchNormalization(name="block1.unit_1.conv1.BatchNorm")(maps)
        maps = keras.layers.Dropout(0.1)(maps)
        maps = keras.layers.Conv2D(2, 1, dtype="bfloat16", name="out")(maps)
        return keras.Model(image, maps)

    model, other = build(), build()
    arrays = snapshot.collect_weights(model)
    assert "weights/block1.unit_1.conv1/kernel" in arrays
    assert not any("seed" in name for name in arrays)
    snapshot.write_snapshot(tmp_path / "snapshot_0.safetensors", arrays, {})
    found = snapshot.read_snapshot(tmp_path / "snapshot_0.safetensors")
    snapshot.assign_weights(other, found.arrays)
    for name, array in snapshot.collect_weights(other).items():
        assert array.dtype == arrays[name].dtype, name
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
