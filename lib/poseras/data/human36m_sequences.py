"""Human3.6M as folders of frames: who is in which protocol, and what a sequence's folder holds.

A folder `s_01_act_02_subact_01_ca_01` holds one JPEG a frame, named after the folder and the frame
number from 1, and `h36m_meta.mat`: `pose3d_world` (frames, 17, 3) mm, `R` world to camera, `T` the
camera in the world in mm, `f`, `c` px, and here also `k`, `p`, the lens.

Source: Human3.6M, Ionescu et al., TPAMI 2014; the layout is that of Moon's PyTorch code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..geometry import project_points, world_to_camera
from ..matlab_files import read_matlab

#: The joints of `pose3d_world` in canonical names, and after them the thorax, which is computed.
JOINTS_17 = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "torso", "upper_neck", "nose", "head_top", "left_shoulder", "left_elbow", "left_wrist",
    "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
JOINTS_18 = (*JOINTS_17, "thorax")
#: Where the 17 stand among the release's 32 joints.
BODY_JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)

CAMERA_IDS = ("54138969", "55011271", "58860488", "60457274")
#: Action names by number, from 2.
ACTIONS = {
    2: "Directions", 3: "Discussion", 4: "Eating", 5: "Greeting", 6: "Phoning", 7: "Posing",
    8: "Purchases", 9: "Sitting", 10: "SittingDown", 11: "Smoking", 12: "Photo", 13: "Waiting",
    14: "Walking", 15: "WalkDog", 16: "WalkTogether",
}  # fmt: skip
SUBJECTS = (1, 5, 6, 7, 8, 9, 11)
TRAIN_STRIDE, TEST_STRIDE = 5, 64
META_FILE = "h36m_meta.mat"


@dataclass(frozen=True)
class Protocol:
    """Whose frames train and whose test; the strides count frames of each sequence from 0."""

    train_subjects: tuple[int, ...]
    test_subjects: tuple[int, ...]

    def strides(self) -> dict[int, int]:
        """Subject to the stride of its frames."""
        train = dict.fromkeys(self.train_subjects, TRAIN_STRIDE)
        return train | dict.fromkeys(self.test_subjects, TEST_STRIDE)


PROTOCOLS = {
    1: Protocol(train_subjects=(1, 5, 6, 7, 8, 9), test_subjects=(11,)),
    2: Protocol(train_subjects=(1, 5, 6, 7, 8), test_subjects=(9, 11)),
}


@dataclass(frozen=True, order=True)
class SequenceName:
    """One video: subject, action 2..16, subaction 1 or 2, camera 1..4."""

    subject: int
    action: int
    subaction: int
    camera: int

    @property
    def folder(self) -> str:
        """`s_01_act_02_subact_01_ca_01`."""
        return (
            f"s_{self.subject:02d}_act_{self.action:02d}"
            f"_subact_{self.subaction:02d}_ca_{self.camera:02d}"
        )

    def frame_file(self, index: int) -> str:
        """The JPEG of a frame that is counted from 0, relative to the folder of all sequences."""
        return f"{self.folder}/{self.folder}_{index + 1:06d}.jpg"

    def frame_id(self, index: int) -> int:
        """A number that no other frame has."""
        number = ((self.subject * 100 + self.action) * 10 + self.subaction) * 10 + self.camera
        return number * 1_000_000 + index + 1


#: Its video is broken in the release.
BROKEN = SequenceName(11, 2, 2, 1)


def list_sequences(subjects: Sequence[int]) -> Iterator[SequenceName]:
    """All sequences of some subjects, in the order of subject, action, subaction, camera.

    Raises:
        ValueError: a subject that the release has no poses of.
    """
    strange = [subject for subject in subjects if subject not in SUBJECTS]
    if strange:
        raise ValueError(f"Subjects must be among {SUBJECTS}. Received {strange}.")
    for subject in subjects:
        for action in ACTIONS:
            for subaction in (1, 2):
                for camera in range(1, len(CAMERA_IDS) + 1):
                    name = SequenceName(subject, action, subaction, camera)
                    if name != BROKEN:
                        yield name


@dataclass(frozen=True)
class Sequence3D:
    """The poses of one video in the space of its camera.

    Attributes:
        name: of the sequence.
        frames: (frames,) int64, those that were asked for, counted from 0.
        joints_camera_mm: (frames, 18, 3) float64; the last one is the thorax, the middle of the
            shoulders.
        rotation: (3, 3), world to camera.
        position_mm: (3,) of the camera in the world.
        camera: (9,) fx, fy, cx, cy, k1, k2, k3, p1, p2; a lens that the file lacks is 0.
        size_hw: height and width of the pictures, 0 where the file lacks them.
    """

    name: SequenceName
    frames: np.ndarray
    joints_camera_mm: np.ndarray
    rotation: np.ndarray
    position_mm: np.ndarray
    camera: np.ndarray
    size_hw: tuple[int, int]

    @property
    def keypoints_px(self) -> np.ndarray:
        """(frames, 18, 2) where the camera shows the joints, lens included."""
        return project_points(self.joints_camera_mm, self.camera)


def read_sequence(root: Path, name: SequenceName, stride: int = 1) -> Sequence3D:
    """Read every `stride`-th pose of the sequence in a folder.

    Args:
        root: folder of all sequences.
        name: of the sequence.
        stride: between frames; the first one is always read.

    Raises:
        FileNotFoundError: there is no `h36m_meta.mat`.
        ValueError: it is damaged, or lacks a field, or a joint is not in front of the camera.
    """
    path = root / name.folder / META_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"No sequence at {path}. tool/human36m2coco.py makes it from the official release; "
            "--allow-missing leaves out what is not there."
        )
    meta = _load_meta(path)
    world = _take(meta, "pose3d_world", path)
    if world.ndim != 3 or world.shape[1:] != (len(JOINTS_17), 3):
        raise ValueError(
            f"pose3d_world of {path} must have shape (frames, {len(JOINTS_17)}, 3). "
            f"Received {world.shape}."
        )
    frames = np.arange(0, len(world), stride)
    rotation, position = _take(meta, "R", path, (3, 3)), _take(meta, "T", path, (3,))
    joints = world_to_camera(_with_thorax(world[frames]), rotation, position)
    _check_ahead(joints, frames, path)
    lens = [_take(meta, key, path, (n,), zero=True) for key, n in (("k", 3), ("p", 2))]
    camera = [_take(meta, key, path, (2,)) for key in ("f", "c")] + lens
    size_hw = tuple(
        int(np.ravel(meta[key])[0]) if np.size(meta.get(key, ())) else 0
        for key in ("img_height", "img_width")
    )
    return Sequence3D(
        name=name,
        frames=frames,
        joints_camera_mm=joints,
        rotation=rotation,
        position_mm=position,
        camera=np.concatenate(camera),
        size_hw=(size_hw[0], size_hw[1]),
    )


def _load_meta(path: Path) -> Mapping[str, Any]:
    try:
        return read_matlab(path)
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read as a MATLAB file: {error}. Remove its folder and let "
            "tool/human36m2coco.py make it again."
        ) from error


def _take(
    meta: Mapping[str, Any],
    key: str,
    path: Path,
    shape: tuple[int, ...] | None = None,
    *,
    zero: bool = False,
) -> np.ndarray:
    """One field as float64 of the shape; zeros where it is absent and may be."""
    if key not in meta:
        if zero and shape is not None:
            return np.zeros(shape)
        raise ValueError(f"{path} must hold {key}. Received none; a camera is needed in 3D.")
    values = np.asarray(meta[key], np.float64)
    if shape is None:
        return values
    if values.size != np.prod(shape):
        raise ValueError(f"{key} of {path} must have shape {shape}. Received {values.shape}.")
    return values.reshape(shape)


def _with_thorax(joints: np.ndarray) -> np.ndarray:
    """(frames, 17, 3) and behind them the middle of the shoulders."""
    shoulders = [JOINTS_17.index(f"{side}_shoulder") for side in ("left", "right")]
    return np.concatenate([joints, joints[:, shoulders].mean(axis=1, keepdims=True)], axis=1)


def _check_ahead(joints: np.ndarray, frames: np.ndarray, path: Path) -> None:
    behind = ~(joints[..., 2] > 0).all(axis=1)
    if behind.any():
        raise ValueError(
            f"Joints must lie before the camera and be finite. Received others in "
            f"{int(behind.sum())} of {len(frames)} frames of {path}, the first is frame "
            f"{int(frames[behind][0]) + 1}; camera and poses do not belong together."
        )
