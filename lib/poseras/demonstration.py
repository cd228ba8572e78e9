"""Poses in a user's own pictures, videos and cameras: drawn, in one file, on the screen.

While the network looks at some frames, threads read the next ones and write the last ones.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np

from . import files
from .data.frames import Frame, FrameSource
from .data.pictures import name_pictures
from .engine.pose_files import PoseFile, open_pose_file, open_table
from .engine.preemption import StopRequest
from .engine.progress import progress_bar
from .engine.video_writer import VideoWriter, open_video_writer
from .engine.write_behind import write_behind
from .frame_prediction import Looking, find_in_frames
from .part_pictures import PARTS_FOLDER, PartPictures, part_path
from .picture_space import can_place
from .poses import Poses
from .predictor import Predictor
from .smoothed_poses import smooth_file, smooth_live
from .visualize import Style

log = logging.getLogger("poseras")

_WINDOW = "poseras"
_ENDING_KEYS = (27, ord("q"))  # 27 is Escape
#: Taken where neither pictures nor camera say it.
_USUAL_RATE = 25.0
_RESULTS = (".jpg", ".mp4", ".csv")

Found = Iterator[tuple[Frame, Poses]]


@dataclass(frozen=True)
class Showing:
    """What becomes of the poses that are found.

    Attributes:
        style: of the drawing.
        draw_threshold: joints with a higher score are drawn as seen.
        csv: write `poses.csv` as well.
        window: show the frames on the screen.
        smooth: steady the joints of tracked people: a camera's as they come, those of files
            without delay, in a second pass.
        parts: also write what a network of parts says, see `part_pictures`.
    """

    style: Style = "house"
    draw_threshold: float = 0.4
    csv: bool = False
    window: bool = False
    smooth: bool = False
    parts: bool = False

    def draw(self, frame: Frame, poses: Poses) -> np.ndarray:
        """(height, width, 3) uint8: a frame with the people on it."""
        return poses.draw(frame.image_rgb, style=self.style, threshold=self.draw_threshold)


def demonstrate(
    predictor: Predictor,
    source: FrameSource,
    output: Path,
    looking: Looking | None = None,
    showing: Showing | None = None,
) -> None:
    """Find and draw the people of pictures, a video or a camera.

    A picture that cannot be read is named and passed over. Ctrl-C ends the work after the frame at
    hand; what was found until then is written, so that a stopped video can be played.

    Args:
        predictor: the network.
        source: of the frames.
        output: folder for `poses.json`, and for a drawing of each picture or an `.mp4`.
        looking: how people are looked for.
        showing: what is written and shown.

    Raises:
        ValueError: not one frame can be read, a bottom-up network is given boxes or a network of 2D
            poses a camera, a network without parts is to show them, a drawing would take the place
            of the input, or there is no screen.
        SystemExit: with 130 after Ctrl-C (143 after SIGTERM), unless a camera was looked through.
    """
    looking, showing = looking or Looking(), showing or Showing()
    if predictor.sees_whole_pictures and looking.boxes.finds_people:
        raise ValueError(
            "A bottom-up network finds everybody. Received person boxes "
            f"({looking.boxes.description}); drop them."
        )
    if looking.camera is not None and not can_place(predictor.view, looking.camera):
        raise ValueError(
            "--focal-length and --root-depth are for networks of 3D poses. Received a "
            f"{predictor.snapshot.metadata['system']} of 2D poses; drop them."
        )
    if not predictor.sees_whole_pictures and not looking.boxes.finds_people:
        log.warning("No person boxes: each whole picture is taken as the box of one person.")
    if predictor.root_box_mm is not None and looking.camera is None:
        log.warning("%s", _about_space(predictor))
    parts = PartPictures(predictor) if showing.parts else None
    drawings = _name_drawings(source, output)
    if showing.window:
        open_window()
    for folder in (output, output / PARTS_FOLDER):
        files.remove_leftovers(folder)
    before = _list_results(output, but=source.files)
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        info = _describe(predictor, source, looking, showing)
        poses_file = stack.enter_context(
            open_pose_file(output / "poses.json", predictor.skeleton, info)
        )
        table = stack.enter_context(open_table(output / "poses.csv" if showing.csv else None))
        targets = {"": stack.enter_context(_open_target(source, drawings))}
        for kind in parts.kinds if parts else ():
            beside = [part_path(drawing, kind) for drawing in drawings]
            targets[kind] = stack.enter_context(_open_target(source, beside))
        writer = _Writer(poses_file, table, targets, showing, parts)
        write = stack.enter_context(write_behind(writer.write))
        found = _find(predictor, source, looking, showing, stop)
        count = _run(found, source, stop, showing, write)
        if stop.received:
            poses_file.info["stopped_after_frames"] = count
    _report(poses_file, source, stop, output)
    _tell_of_others(before & _list_results(output), output)
    if stop.received and source.kind != "camera":
        stop.leave()


def _run(
    found: Found,
    source: FrameSource,
    stop: StopRequest,
    showing: Showing,
    write: Callable[[tuple[Frame, Poses]], None],
) -> int:
    """Hand over one frame after the other, until there are no more or somebody stops.

    Returns:
        How many there were.
    """
    count = 0
    stopped_before = stop.received  # in a first pass, whose frames are all to be written
    with progress_bar(total=source.count, unit="frame", desc="demo") as bar:
        for frame, poses in found:
            write((frame, poses))
            count += 1
            bar.update()
            if showing.window and not _show(showing.draw(frame, poses)):
                break
            if stop.received and not stopped_before:
                break
    if not count:
        looked = f"Not one of {source.count} pictures" if source.paths else "Not one frame"
        raise ValueError(f"{looked} of {source.name} could be read; see the lines above.")
    return count


def _find(
    predictor: Predictor,
    source: FrameSource,
    looking: Looking,
    showing: Showing,
    stop: StopRequest,
) -> Found:
    """Frames with the people on them, steadied where that is wanted."""
    found = find_in_frames(predictor, source, looking)
    if not showing.smooth:
        return found
    rate = source.frame_rate or _USUAL_RATE
    if source.kind == "camera":
        return smooth_live(found, rate)
    with progress_bar(total=source.count, unit="frame", desc="find") as bar:
        poses = []
        for _, of_frame in found:
            poses.append(of_frame)
            bar.update()
            if stop.received:
                break
    return zip(source, smooth_file(poses, rate), strict=False)


@dataclass(frozen=True)
class _Target:
    """Where drawings of one kind go: a file for each picture, or a video."""

    drawings: list[Path]
    video: VideoWriter | None

    def write(self, frame: Frame, drawn: np.ndarray) -> None:
        if self.video is not None:
            self.video.write(drawn, frame.time_s)
        else:
            files.write_image_atomically(self.drawings[frame.number], drawn)


@contextmanager
def _open_target(source: FrameSource, drawings: list[Path]) -> Iterator[_Target]:
    if source.kind == "pictures":
        yield _Target(drawings, None)
        return
    with open_video_writer(drawings[0], source.frame_rate or _USUAL_RATE) as video:
        yield _Target(drawings, video)


@dataclass
class _Writer:
    """Draws and writes one frame at a time, in the thread that writes."""

    poses_file: PoseFile
    table: Any
    targets: Mapping[str, _Target]
    showing: Showing
    parts: PartPictures | None = None
    _csv_begun: bool = False

    def write(self, item: tuple[Frame, Poses]) -> None:
        frame, poses = item
        drawn = {"": self.showing.draw(frame, poses)}
        if self.parts is not None:
            drawn |= self.parts.draw(frame.image_rgb, poses)
        for kind, picture in drawn.items():
            self.targets[kind].write(frame, picture)
        self.poses_file.add(poses.image_entry(), poses.to_coco())
        if self.table is not None:
            self.table.write(poses.to_csv(header=not self._csv_begun))
            self._csv_begun = True


def open_window() -> None:
    """Open the window that shows frames.

    Raises:
        ValueError: there is no screen, or this OpenCV knows no windows.
    """
    if "GUI:                           NONE" in cv2.getBuildInformation():
        raise ValueError(
            "--show needs an OpenCV with windows, and opencv-python-headless has none: pip "
            "uninstall opencv-python-headless, then pip install opencv-python"
        )
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, screens)):
        raise ValueError("--show needs a screen, and none is set (DISPLAY). Leave --show out.")
    cv2.namedWindow(_WINDOW, cv2.WINDOW_NORMAL)


def _show(drawn: np.ndarray) -> bool:
    """Show a frame; False when a key asks for the end."""
    cv2.imshow(_WINDOW, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    return cv2.waitKey(1) & 0xFF not in _ENDING_KEYS


def _name_drawings(source: FrameSource, output: Path) -> list[Path]:
    """Where the drawing of each picture goes, or the video; never over an input.

    Pictures of several folders are drawn into folders of the same names.
    """
    if source.kind != "pictures":
        drawings = [output / f"{source.name}.mp4"]
    else:
        names = list(map(PurePath, name_pictures(source.paths)))
        stems = Counter(name.with_suffix("") for name in names)
        drawings = [
            output / f"{name if stems[name.with_suffix('')] > 1 else name.with_suffix('')}.jpg"
            for name in names
        ]
    inputs = {path.resolve() for path in source.files}
    taken = [path for path in drawings if path.resolve() in inputs]
    if taken:
        raise ValueError(
            f"--output must not hold the input. Received {output}, where the drawing would take "
            f"the place of {taken[0].name}; choose another folder."
        )
    return drawings


def _describe(
    predictor: Predictor, source: FrameSource, looking: Looking, showing: Showing
) -> dict[str, Any]:
    """How the poses came about, for `poses.json`."""
    everybody = predictor.sees_whole_pictures
    camera = looking.camera
    return {
        "source": source.name,
        "kind": source.kind,
        "frame_rate": source.frame_rate,
        "snapshot": predictor.snapshot.path.name,
        "snapshot_sha256": predictor.snapshot.sha256,
        "boxes": "none, whole pictures" if everybody else looking.boxes.description,
        "flip_test": looking.flip_test,
        "tracking": asdict(looking.tracking) if looking.tracking else None,
        "smoothed": showing.smooth,
        "camera": asdict(camera) if camera else None,
        "third_value_of_keypoints": "score",
    }


def _about_space(predictor: Predictor) -> str:
    """What 3D poses are without a known camera."""
    known = "--focal-length and --root-depth give them in the space of the camera."
    if not can_place(predictor.view, None):
        return f"This network needs a camera to give poses in space: {known}"
    width = predictor.view.box_mm[1]
    return (
        f"Poses in space are relative to the root, in mm, as if each view were {width:.0f} mm "
        f"wide; {known}"
    )


def _list_results(output: Path, but: Iterable[Path] = ()) -> set[tuple[Path, int]]:
    """Drawings, videos and tables in a folder and its folders, each with the number of its inode.

    What is written anew has another number, even under the same name. The files `but` are left
    out, and those that somebody is writing.
    """
    others = {path.resolve() for path in but}
    found = (path for pattern in ("*", "*/*") for path in output.glob(pattern))
    whole = (path for path in found if path.parent.suffix != files.UNFINISHED)
    results = (path for path in whole if path.suffix in _RESULTS and path.resolve() not in others)
    return {(path, path.lstat().st_ino) for path in results}


def _tell_of_others(others: set[tuple[Path, int]], output: Path) -> None:
    """Say which files of the folder are not of this run, for they look as if they were."""
    if others:
        first = min(path.relative_to(output) for path, _ in others)
        log.warning(
            "%s also holds pictures, videos or tables that this run did not write: %d, as %s. "
            "poses.json is of this run alone; an empty folder keeps runs apart.",
            output,
            len(others),
            first,
        )


def _report(poses_file: PoseFile, source: FrameSource, stop: StopRequest, output: Path) -> None:
    """Tell what was found and where it lies."""
    thing = "pictures" if source.kind == "pictures" else "frames"
    if stop.received:
        log.info("Stopped; what was found until then is whole and can be opened.")
    log.info(
        "%d people on %d %s: drawings and poses.json in %s",
        poses_file.people,
        poses_file.pictures,
        thing,
        output,
    )
