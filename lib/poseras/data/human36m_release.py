"""Human3.6M's official archives, unpacked, to folders of frames.

Read are `S1/MyPoseFeatures/D3_Positions/<prefix>.cdf` (world poses of 32 joints in mm),
`S1/Videos/<prefix>.<camera id>.mp4` and `metadata.xml`, which lists the prefixes and cameras. Per
sequence a folder is written as `human36m_sequences` describes it, the metadata last, so that a
folder with metadata is complete.

Source: Human3.6M, Ionescu et al., TPAMI 2014, release code 1.1; joints and layout are those of
Moon's PyTorch code, whose MATLAB program this replaces.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from ..files import unfinished_file, write_image_atomically
from .human36m_sequences import BODY_JOINTS, CAMERA_IDS, META_FILE, SequenceName, read_sequence

log = logging.getLogger("poseras")

_SUBJECTS = 11
_RELEASE_JOINTS = 32
#: Places where the archives put a subject's poses.
_POSE_FOLDERS = ("MyPoseFeatures/D3_Positions", "D3_Positions", "Poses_D3_Positions")


@dataclass(frozen=True)
class ReleaseMetadata:
    """What `metadata.xml` says.

    Attributes:
        prefixes: (subject, action, subaction) -> file prefix such as `Directions 1`.
        numbers: (300,) float64, extrinsics of all subjects and cameras, then intrinsics.
    """

    prefixes: Mapping[tuple[int, int, int], str]
    numbers: np.ndarray


@dataclass(frozen=True)
class ReleaseCamera:
    """A camera of the release.

    Attributes:
        rotation: (3, 3), world to camera.
        position_mm: (3,) in the world.
        camera: (9,) fx, fy, cx, cy, k1, k2, k3, p1, p2 in pixels.
    """

    rotation: np.ndarray
    position_mm: np.ndarray
    camera: np.ndarray


def read_metadata(path: Path) -> ReleaseMetadata:
    """Read the release's `metadata.xml`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not XML, or lacks file names or cameras, or those are no numbers.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No metadata at {path}. It is part of the release code (version 1.1); name it with "
            "--metadata."
        )
    try:
        tree = ElementTree.parse(path)
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not XML: {error}. Unpack the release code again.") from error
    mapping, numbers = tree.find(".//mapping"), tree.findtext(".//w0")
    if mapping is None or numbers is None:
        raise ValueError(
            f"{path} must hold the elements mapping and w0. Received other XML; take metadata.xml "
            "of the release code 1.1."
        )
    try:
        values = np.array(numbers.strip().strip("[]").replace(",", " ").split(), np.float64)
    except ValueError as error:
        raise ValueError(
            f"w0 of {path} must be numbers: {error}. Unpack the release code again."
        ) from error
    wanted = 6 * _SUBJECTS * len(CAMERA_IDS) + 9 * len(CAMERA_IDS)
    if len(values) != wanted:
        raise ValueError(f"w0 of {path} must have {wanted} numbers. Received {len(values)}.")
    return ReleaseMetadata(_read_prefixes(mapping), values)


def _read_prefixes(mapping: ElementTree.Element) -> dict[tuple[int, int, int], str]:
    rows = [["".join(cell.itertext()).strip() for cell in row] for row in mapping]
    subjects = rows[0][2:]  # S1 ... S11
    prefixes = {}
    for action, subaction, *names in rows[1:]:
        if not (action.isdigit() and subaction.isdigit()):
            continue  # the last rows hold names of subjects and sizes of pictures
        for subject, prefix in zip(subjects, names, strict=False):
            prefixes[int(subject.lstrip("S")), int(action), int(subaction)] = prefix
    return prefixes


def decode_camera(extrinsics: np.ndarray, intrinsics: np.ndarray) -> ReleaseCamera:
    """A camera from the release's numbers.

    Args:
        extrinsics: (6,) angles about x, y and z, position in mm.
        intrinsics: (9,) fx, fy, cx, cy, k1, k2, k3, p1, p2.

    Returns:
        R = Rx Ry Rz of the right-handed elementary rotations, T and the intrinsics.
    """
    cosine, sine = np.cos(extrinsics[:3]), np.sin(extrinsics[:3])
    rotation = np.eye(3)
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[one, one] = turn[two, two] = cosine[axis]
        turn[one, two], turn[two, one] = -sine[axis], sine[axis]
        rotation = rotation @ turn
    return ReleaseCamera(rotation, np.array(extrinsics[3:]), np.array(intrinsics))


def find_camera(metadata: ReleaseMetadata, subject: int, camera: int) -> ReleaseCamera:
    """The camera 1..4 as it stood for a subject."""
    first = 6 * (_SUBJECTS * (camera - 1) + subject - 1)
    inner = 6 * _SUBJECTS * len(CAMERA_IDS) + 9 * (camera - 1)
    numbers = metadata.numbers
    return decode_camera(numbers[first : first + 6], numbers[inner : inner + 9])


def import_cdflib() -> Any:
    """The reader of NASA's CDF files.

    Raises:
        ValueError: it is not installed; the line says how to get it.
    """
    try:
        import cdflib
    except ImportError:
        raise ValueError(
            "Human3.6M's poses are NASA CDF files and need cdflib, which is not installed: "
            'pip install -e ".[human36m]"'
        ) from None
    return cdflib


def read_poses(path: Path) -> np.ndarray:
    """(frames, 17, 3) float64 world mm of a pose file.

    Raises:
        ValueError: the file is damaged or holds other poses, or cdflib is not installed.
    """
    cdflib = import_cdflib()
    try:
        poses = np.asarray(cdflib.CDF(path).varget("Pose"), np.float64)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read as a CDF file with the variable Pose: {error}. Unpack the "
            "archive Poses_D3_Positions again."
        ) from error
    if poses.ndim < 2 or poses.shape[-1] != 3 * _RELEASE_JOINTS:
        raise ValueError(
            f"Pose of {path} must have shape (1, frames, {3 * _RELEASE_JOINTS}). "
            f"Received {poses.shape}."
        )
    return poses.reshape(-1, _RELEASE_JOINTS, 3)[:, list(BODY_JOINTS)]


def find_files(release: Path, metadata: ReleaseMetadata, name: SequenceName) -> tuple[Path, Path]:
    """The pose file and the video of a sequence.

    Raises:
        FileNotFoundError: one is missing.
        ValueError: the metadata do not list the sequence.
    """
    key = (name.subject, name.action, name.subaction)
    if key not in metadata.prefixes:
        raise ValueError(f"metadata.xml names no file for {name.folder}; it is not complete.")
    prefix, folder = metadata.prefixes[key], release / f"S{name.subject}"
    places = [folder / place / f"{prefix}.cdf" for place in _POSE_FOLDERS]
    poses = next((path for path in places if path.is_file()), places[0])
    video = folder / "Videos" / f"{prefix}.{CAMERA_IDS[name.camera - 1]}.mp4"
    for path, archive in ((poses, "Poses_D3_Positions"), (video, "Videos")):
        if not path.is_file():
            raise FileNotFoundError(
                f"No {path}. Unpack {archive}_S{name.subject}.tgz of the official release; "
                "--allow-missing leaves out what is not there."
            )
    return poses, video


def is_there(release: Path, metadata: ReleaseMetadata, name: SequenceName) -> bool:
    """Whether pose file and video of a sequence can be found."""
    try:
        find_files(release, metadata, name)
    except FileNotFoundError:
        return False
    return True


def is_complete(output: Path, name: SequenceName, stride: int) -> bool:
    """Whether a folder holds its metadata and every `stride`-th frame."""
    if not (output / name.folder / META_FILE).is_file():
        return False
    frames = read_sequence(output, name, stride).frames
    return all((output / name.frame_file(frame)).is_file() for frame in frames.tolist())


def convert_sequence(
    release: Path,
    metadata: ReleaseMetadata,
    output: Path,
    name: SequenceName,
    *,
    stride: int = 1,
    jpeg_quality: int = 75,
) -> int:
    """Write the folder of one sequence; its metadata cover all frames, whatever the stride.

    Args:
        release: folder with S1, S5, ...
        metadata: of the release.
        output: folder of all sequences.
        name: of the sequence.
        stride: only every so many frames become pictures.
        jpeg_quality: 75 is MATLAB's.

    Returns:
        How many frames have a pose and a picture in the video. Where the two lengths differ, the
        shorter one counts, and the log says so.

    Raises:
        FileNotFoundError: pose file or video are missing.
        ValueError: one of them is damaged, or the video has no frames.
    """
    pose_path, video_path = find_files(release, metadata, name)
    poses = read_poses(pose_path)
    folder = output / name.folder
    folder.mkdir(parents=True, exist_ok=True)
    sizes = []
    for index, frame in enumerate(_read_frames(video_path, len(poses), stride)):
        if frame is not None:
            sizes.append(frame.shape[:2])
            path = output / name.frame_file(index)
            write_image_atomically(path, frame, jpeg_quality=jpeg_quality, flush=False)
        count = index + 1
    if not sizes:
        raise ValueError(f"{video_path} has no frame that can be decoded; copy the file again.")
    if count != len(poses):
        log.warning(
            "%s: the video has %d frames for %d poses; %d are kept.",
            name.folder, count, len(poses), count,
        )  # fmt: skip
    _write_meta(folder, poses[:count], find_camera(metadata, name.subject, name.camera), sizes[0])
    return count


def _read_frames(path: Path, limit: int, stride: int) -> Iterator[np.ndarray | None]:
    """At most `limit` frames, RGB; None in the place of those that the stride leaves out."""
    capture = cv2.VideoCapture(str(path))
    try:
        for index in range(limit):
            if not capture.grab():
                return
            if index % stride:
                yield None
                continue
            decoded, frame = capture.retrieve()
            if not decoded:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _write_meta(
    folder: Path, poses: np.ndarray, camera: ReleaseCamera, size_hw: tuple[int, int]
) -> None:
    from scipy.io import savemat

    numbers = camera.camera[None]  # (1, 9)
    with unfinished_file(folder / META_FILE) as unfinished:
        savemat(
            unfinished,
            {
                "pose3d_world": poses,
                "R": camera.rotation,
                "T": camera.position_mm[None],
                "f": numbers[:, :2],
                "c": numbers[:, 2:4],
                "k": numbers[:, 4:7],
                "p": numbers[:, 7:],
                "img_height": np.full((len(poses), 1), size_hw[0]),
                "img_width": np.full((len(poses), 1), size_hw[1]),
            },
        )
