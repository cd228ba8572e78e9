"""A snapshot file in, poses out.

Everything that a prediction depends on (the system and its options, the skeleton, the view) is read
from the snapshot, never from a config: a snapshot predicts alike wherever it lies.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import systems
from .data import pipeline
from .data.frames import Frame, open_frames
from .data.images import read_image
from .data.pictures import Boxes
from .engine import tester
from .engine.distribute import current_strategy
from .engine.image_tester import at_scales
from .engine.snapshot import Snapshot, assign_weights, read_snapshot
from .frame_prediction import Looking, find_in_frames, look_into_boxes
from .person_boxes import BoxSource, WholePictures
from .picture_space import PictureCamera
from .poses import Poses
from .settings import apply_differences, flatten
from .shipped import shipped_weights
from .skeleton import Skeleton
from .structures import PersonRecords, View
from .tracking import TrackerSettings

if TYPE_CHECKING:
    import keras

log = logging.getLogger("poseras")

Picture = np.ndarray | str | Path


@dataclass(frozen=True)
class Predictor:
    """A network with its weights, ready to look at pictures.

    Attributes:
        system: encodes, merges and decodes.
        model: the network, RGB 0..255 in.
        view: how a picture becomes its input.
        strategy: a `tf.distribute.Strategy`, the devices that share the work.
        snapshot: where the weights came from, with metadata and SHA-256; its arrays are released.
        averaged: whether the weights are the averages (EMA) of the snapshot.
    """

    system: Any
    model: keras.Model
    view: View
    strategy: Any
    snapshot: Snapshot
    averaged: bool = False
    _steps: dict[Any, tester.PredictStep] = field(default_factory=dict, repr=False)

    @property
    def skeleton(self) -> Skeleton:
        """The joints, in the order in which results hold them."""
        return self.system.skeleton

    @property
    def root_box_mm(self) -> tuple[float, float] | None:
        """Height and width of the box around the root that views show in 3D; None in 2D."""
        return self.view.root_box_mm

    @property
    def sees_whole_pictures(self) -> bool:
        """Whether it looks for everybody on a picture at once, without boxes."""
        return hasattr(self.system, "group")

    def predict(
        self,
        images: Picture | Sequence[Picture],
        boxes_xywh: np.ndarray | Sequence[np.ndarray] | None = None,
        *,
        flip_test: bool = True,
        batch_size: int = 32,
        camera: PictureCamera | None = None,
    ) -> Poses | list[Poses]:
        """Find the joints of people in pictures.

        Args:
            images: one picture or a list: (height, width, 3) uint8 RGB arrays, or paths, whose
                EXIF orientation is honoured; or one array (pictures, height, width, 3).
            boxes_xywh: (people, 4) left, top, width, height in pixels for one picture, a list of
                such arrays for a list of pictures; None takes each whole picture as one box. A
                bottom-up network looks at whole pictures and takes none.
            flip_test: also look at the mirrored views and average.
            batch_size: views per forward pass and device.
            camera: brings 3D poses into camera space; without it they are relative to the root.

        Returns:
            One `Poses` per picture (a list if a list was given), one row per box in its order:
            keypoints in pixels of that picture, keypoint scores, and as person scores their mean.
            Nobody is suppressed.

        Raises:
            ValueError: a picture or a box is not of that form.
        """
        looking = Looking(flip_test=flip_test, batch_size=batch_size, camera=camera)
        if isinstance(images, np.ndarray) and images.ndim == 4:
            images = list(images)
        if isinstance(images, np.ndarray | str | Path):
            single = None if boxes_xywh is None else [np.asarray(boxes_xywh)]
            return self._predict_list([images], single, looking)[0]
        return self._predict_list(images, boxes_xywh, looking)

    def _predict_list(
        self,
        images: Sequence[Picture],
        boxes_xywh: Sequence[np.ndarray] | np.ndarray | None,
        looking: Looking,
    ) -> list[Poses]:
        frames = [_as_frame(image, number) for number, image in enumerate(images)]
        if self.sees_whole_pictures and boxes_xywh is not None:
            raise ValueError("A bottom-up network finds everybody. Received boxes; drop them.")
        boxes = None
        if boxes_xywh is not None:
            boxes = [Boxes(rows, np.ones(len(rows))) for rows in map(_as_boxes, boxes_xywh)]
            if len(boxes) != len(frames):
                raise ValueError(
                    f"boxes_xywh must hold one array per picture ({len(frames)}). "
                    f"Received {len(boxes)}."
                )
        return look_into_boxes(self, frames, boxes, looking)

    def track(
        self,
        frames: str | Path | int | Iterable[np.ndarray],
        boxes: BoxSource | None = None,
        *,
        tracking: TrackerSettings | None = None,
        flip_test: bool = True,
        camera: PictureCamera | None = None,
        frame_rate: float = 25.0,
    ) -> Iterator[Poses]:
        """Find the people of a video or camera, with ids that stay theirs from frame to frame.

        Args:
            frames: what `frames.open_frames` takes, such as a path or the number of a camera; or
                (height, width, 3) uint8 RGB arrays.
            boxes: where person boxes come from, see `person_boxes`; each whole frame by default. A
                bottom-up network takes none.
            tracking: how people are told apart.
            flip_test: also look at the mirrored views and average.
            camera: brings 3D poses into camera space; without it they are relative to the root.
            frame_rate: of arrays, frames per second.

        Yields:
            One `Poses` per frame, as soon as it was looked at.

        Raises:
            FileNotFoundError: nothing is there.
            ValueError: it is neither a picture nor a video, or the skeleton has no OKS sigmas.
        """
        source: Iterable[Frame] = (
            open_frames(frames)
            if isinstance(frames, str | Path | int)
            else (
                Frame(_as_picture(image), number, number, "", number / frame_rate)
                for number, image in enumerate(frames)
            )
        )
        looking = Looking(
            boxes=boxes or WholePictures(),
            flip_test=flip_test,
            camera=camera,
            tracking=tracking or TrackerSettings(),
        )
        for _, poses in find_in_frames(self, source, looking):
            yield poses

    @staticmethod
    def even_batch(people: int, batch_size: int) -> int:
        """The batch size that shares people out evenly: a few do not fill up a large batch."""
        passes = -(-people // batch_size)
        return max(-(-people // max(passes, 1)), 1)

    def predict_records(
        self,
        records: PersonRecords,
        *,
        flip_test: bool = True,
        batch_size: int = 32,
        workers: int = 0,
        on_bad_sample: Literal["stop", "skip"] = "stop",
        progress: bool = True,
    ) -> tester.Predictions:
        """Find the joints of the people of some records, whose pictures are files.

        Args:
            records: sorted by picture, so that each picture is decoded once.
            flip_test: also look at the mirrored views and average.
            batch_size: views per forward pass and device.
            workers: threads that read pictures; 0 is one per core.
            on_bad_sample: `stop` at an unreadable picture, or `skip` it and list it in the log.
            progress: show a bar.

        Raises:
            FileNotFoundError: a picture is missing.
            ValueError: a picture is damaged.
        """
        samples = pipeline.SampleLog()
        batches = pipeline.build_inference_batches(
            records,
            self.view,
            batch_size=batch_size,
            workers=workers,
            on_bad_sample=on_bad_sample,
            log=samples,
        )
        with samples.original_errors():
            found = self.predict_batches(batches, records, flip_test=flip_test, progress=progress)
        if samples.skipped:
            log.warning("%s", samples.summary())
        return found

    def traced_step(
        self, flip_test: bool, scales: tuple[float, ...] = (1.0,)
    ) -> tester.PredictStep:
        """The step of a flip test or none, traced once; `scales` are those of bottom-up systems."""
        key = (flip_test, tuple(scales))
        if key not in self._steps:
            looks = (self.view.stride, self.view.border_rgb)
            network = at_scales(self.system, self.model, scales, *looks)
            self._steps[key] = tester.make_predict_step(
                self.system, network, self.strategy, flip_test
            )
        return self._steps[key]

    def make_selection(
        self,
        *,
        keypoint_threshold: float = 0.2,
        box_nms_threshold: float = 0.0,
        oks_nms_threshold: float = 0.9,
    ) -> tester.Selection:
        """The rules by which predictions become people; areas and sigmas are the network's."""
        height, width = self.view.size_hw
        return tester.Selection(
            aspect_ratio=width / height,
            margin=self.view.margin,
            keypoint_threshold=keypoint_threshold,
            box_nms_threshold=box_nms_threshold,
            oks_nms_threshold=oks_nms_threshold,
            oks_sigmas=self.skeleton.oks_sigmas,
        )

    def predict_batches(
        self, batches: Any, records: PersonRecords, *, flip_test: bool, progress: bool
    ) -> tester.Predictions:
        """Find the joints in batches of views that a pipeline made from `records`."""
        return tester.predict_people(
            self.traced_step(flip_test),
            batches,
            records,
            joint_count=self.skeleton.joint_count,
            devices=self.strategy.num_replicas_in_sync,
            progress=progress,
        )


def load_predictor(
    snapshot: str | Path | Snapshot | None = None,
    *,
    differences: dict[str, Any] | None = None,
    strategy: Any = None,
    root: Path = Path(),
    finds_people: bool = False,
) -> Predictor:
    """Build the network of a snapshot and give it the weights.

    Averaged weights (EMA) are used where the snapshot holds them.

    Args:
        snapshot: path of a `snapshot_N.safetensors`, or a snapshot that was read; published
            checkpoints of other code bases become one by `snapshot_choice.open_snapshot`. None
            takes the weights that come with poseras.
        differences: settings other than those in the snapshot, `options.decoder: dark` or
            `view.margin: 1.3`.
        strategy: a `tf.distribute.Strategy`, the devices; TensorFlow's current one by default.
        root: of the project, where relative paths among the differences start.
        finds_people: whether people will be looked for; a network whose system could not tell them
            apart is then refused before it is built.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, does not fit its own settings changed by `differences`, or
            cannot tell people apart.
    """
    strategy = strategy or current_strategy()
    snapshot = shipped_weights() if snapshot is None else snapshot
    loaded = snapshot if isinstance(snapshot, Snapshot) else read_snapshot(snapshot)
    system, view = build_system(loaded, differences or {}, root)
    if finds_people and hasattr(system, "check_grouping"):
        system.check_grouping()
    with strategy.scope():
        model = system.build_model()
        assign_weights(model, loaded.arrays, use_ema=loaded.has_ema, source=loaded.path)
    released = Snapshot(loaded.path, {}, loaded.metadata, loaded.sha256)
    return Predictor(system, model, view, strategy, released, averaged=loaded.has_ema)


def build_system(
    snapshot: Snapshot, differences: dict[str, Any], root: Path = Path()
) -> tuple[Any, View]:
    """The system and the view that a snapshot describes, with some settings changed.

    Args:
        snapshot: its metadata names system, options, skeleton and view.
        differences: dotted keys that begin with `options.` or `view.`.
        root: of the project, where relative paths among them start.

    Raises:
        ValueError: the metadata lacks a part, or a setting is unknown or does nothing.
    """
    metadata = snapshot.metadata
    missing = [key for key in ("system", "options", "skeleton", "view") if key not in metadata]
    if missing:
        raise ValueError(
            f"The metadata of {snapshot.path} must name system, options, skeleton and view. "
            f"Received none for {', '.join(missing)}; it was not written by train.py."
        )
    name = metadata["system"]
    module = systems.options_module(name)
    changed: dict[str, dict[str, Any]] = {"options": {}, "view": {}}
    for key, value in differences.items():
        group, _, setting = key.partition(".")
        if group not in changed or not setting:
            raise ValueError(
                f"differences must begin with options. or view.. Received {key!r}; other settings "
                "are arguments of predict."
            )
        changed[group][setting] = value
    stored = apply_differences(module.Options(), metadata["options"])
    options = apply_differences(stored, changed["options"])
    # The view follows the options, but for what was set by itself when the snapshot was written.
    usual = flatten(module.default_view(stored))
    own = {key: value for key, value in metadata["view"].items() if value != usual.get(key)}
    view = apply_differences(module.default_view(options), {**own, **changed["view"]})
    systems.check_view(name, options, view)
    before, now = flatten(stored), flatten(options)
    systems.check_unread(name, options, [f"options.{k}" for k in now if now[k] != before[k]])
    skeleton = Skeleton.from_dict(metadata["skeleton"])
    resources = snapshot.part("resources")
    if options != stored:  # which may name other tables than those of the snapshot
        resources = systems.load_resources(name, options, skeleton, (stored, resources), root)
    return systems.system_class(name)(options, skeleton, resources), view


def _as_frame(image: Picture, number: int) -> Frame:
    name = "" if isinstance(image, np.ndarray) else Path(image).name
    return Frame(_as_picture(image), number, number, name)


def _as_picture(image: Picture) -> np.ndarray:
    if not isinstance(image, np.ndarray):
        return read_image(image, honour_orientation=True)
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ValueError(
            "images must be (height, width, 3) uint8 RGB arrays or paths. "
            f"Received {image.shape} {image.dtype}."
        )
    return image


def _as_boxes(boxes_xywh: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes_xywh, np.float32)
    if boxes.ndim != 2 or boxes.shape[-1] != 4 or not np.isfinite(boxes).all():
        raise ValueError(
            "boxes_xywh must be finite numbers of shape (people, 4), left, top, width, height. "
            f"Received {boxes.shape}."
        )
    return boxes
