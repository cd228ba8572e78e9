"""train.py --draw-samples: what a training would learn from is drawn, and nothing is trained."""

import cv2
import pytest

TOP_DOWN = (
    "run=tiny",
    "options.input_shape=64,64",
    "options.backbone_width=8",
    "options.head_filters=8,8,8",
    "train.initial_weights=none",
    "train.batch_size=2",
)
BOTTOM_UP = (
    "system=simplepose_v2",
    "run=tiny",
    "options.input_shape=64,64",
    "options.backbone_width=8",
    "options.units=1,1",
    "view.length=64",
    "train.initial_weights=none",
    "train.batch_size=2",
)


def draw(project, count, settings):
    """The pictures by name, after a look at the first samples."""
    done = project.run("train.py", "--gpu", "cpu", "--draw-samples", count, "--set", *settings)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list((project.root / "output").rglob("snapshot*")), "nothing is trained"
    folder = project.root / "output" / "vis" / "COCO" / "tiny" / "samples"
    return {path.name: cv2.imread(str(path)) for path in folder.iterdir()}


@pytest.mark.parametrize(
    "settings", [TOP_DOWN, pytest.param(BOTTOM_UP, marks=pytest.mark.slow)], ids=["people", "maps"]
)
def test_the_first_samples_and_their_maps_are_drawn(project, settings):
    pictures = draw(project, "3", settings)
    assert sorted(pictures) == ["maps_000.jpg", "maps_001.jpg", "maps_002.jpg", "samples.jpg"]
    assert pictures["samples.jpg"].shape == (132, 132, 3)  # two rows of two views, gaps of 4 px
    hot = pictures["maps_000.jpg"][..., 2] > 150  # the red of peaks
    assert hot.any() and not hot.all()


def test_a_number_below_one_is_refused(project):
    done = project.run("train.py", "--gpu", "cpu", "--draw-samples", "-2", "--set", *TOP_DOWN)
    assert done.returncode == 2 and "must be at least 1. Received -2." in done.stderr
