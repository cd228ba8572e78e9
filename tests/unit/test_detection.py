import sys
from types import SimpleNamespace

import numpy as np
import pytest

from poseras.data.frames import Frame
from poseras.detection import _to_boxes, load_detector


def make_frame(number=0, height=48, width=90):
    image = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    return Frame(image, number, number, "a.jpg")


def test_boxes_come_in_pixels_of_the_picture_the_surest_first_and_cut():
    shares = np.array([[0.5, 0.5, 0.2, 0.5], [0.0, 0.5, 0.2, 0.5], [0.5, 0.5, 0.1, 0.1]])
    found = _to_boxes(shares, np.array([0.4, 0.9, 0.2]), make_frame(), 0.3)
    np.testing.assert_allclose(found.scores, [0.9, 0.4])
    np.testing.assert_allclose(found.boxes_xywh, [[0, 12, 9, 24], [36, 12, 18, 24]])


def test_without_kerashub_the_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ValueError, match=r"not installed.*pip install -e \"\.\[detector\]\""):
        load_detector("dfine_nano_coco")


def test_a_local_preset_finds_boxes_inside_the_pictures(dfine_preset):
    detector = load_detector(str(dfine_preset), min_score=0.0)
    import keras_hub

    assert detector.description == "detector dfine_tiny"
    frames = [make_frame(0), make_frame(1, 64, 64)]
    found = detector.find(frames)
    for boxes, frame in zip(found, frames, strict=True):
        height, width = frame.image_rgb.shape[:2]
        assert 0 < len(boxes.scores) <= 20 and (np.diff(boxes.scores) <= 0).all()
        corners = boxes.boxes_xywh[:, :2] + boxes.boxes_xywh[:, 2:]
        assert (boxes.boxes_xywh >= 0).all() and (corners <= [width + 1e-3, height + 1e-3]).all()
    own = keras_hub.models.DFineObjectDetector.from_preset(str(dfine_preset))
    logits = own(frames[1].image_rgb[None] / np.float32(255))["logits"]
    expected = 1 / (1 + np.exp(-np.asarray(logits)[0, :, 0].astype(np.float64)))
    # A picture of the network's size is not resized: the same scores but for the place of 1/255.
    np.testing.assert_allclose(found[1].scores[0], expected.max(), rtol=1e-3)
    assert load_detector(str(dfine_preset), 0.99).find(frames[:1])[0].scores.size == 0


def test_an_unknown_preset_names_the_known_ones():
    pytest.importorskip("keras_hub", reason="KerasHub, the extra `detector`, is not installed")
    with pytest.raises(ValueError, match="Received yolo; there are .*dfine_nano_coco"):
        load_detector("yolo")


@pytest.mark.parametrize("error", [ValueError("not a DFineObjectDetector"), OSError("no network")])
def test_a_preset_that_cannot_be_read_names_what_else_to_do(monkeypatch, tmp_path, error):
    def from_preset(preset):
        raise error

    detector = SimpleNamespace(presets={}, from_preset=from_preset)
    models = SimpleNamespace(DFineObjectDetector=detector)
    monkeypatch.setitem(sys.modules, "keras_hub", SimpleNamespace(models=models))
    with pytest.raises(OSError, match="could not be fetched or read.* or use --detections FILE"):
        load_detector(str(tmp_path))
