"""A whole data set of synthetic people: pictures, annotations, detections.

The set is made in chunks. A chunk's record is written after its pictures, so an interrupted run
knows what is whole. What a picture shows depends on seed and number alone, never on which process
drew it.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..files import (
    UNFINISHED,
    remove_leftovers,
    write_image_atomically,
    write_json_atomically,
)
from .assets import VERSION, load_assets
from .coco_records import CATEGORY, annotation_entries, detection_entries, image_entry
from .raster import check_rasterizer
from .scene import Scene, make_scene
from .sequences import make_clip
from .staging import Difficulty

#: Counted up when the same seed no longer gives the same pictures.
RECIPE = 2

SETTINGS_FILE = "generation.json"
DETECTIONS_FILE = "human_detection.json"
_CHUNK = 32
_JPEG_QUALITY = 93
_FIRST_ID = {"train": 1, "val": 1_000_001, "sequences": 2_000_001}
_FOLDERS = ("images", "annotations", "dets")
_MOST = _FIRST_ID["val"] - _FIRST_ID["train"]


@dataclass(frozen=True)
class Settings:
    """What is made.

    Attributes:
        train: pictures of the training split.
        val: pictures of the validation split.
        sequences: clips of the split `sequences`.
        frames: of each clip.
        difficulty: one or several, which then take turns at random.
        seed: another seed, other people.
        backgrounds: photographs that half of the pictures show behind the people.
    """

    train: int = 2000
    val: int = 300
    sequences: int = 0
    frames: int = 50
    difficulty: tuple[Difficulty, ...] = ("standard",)
    seed: int = 0
    backgrounds: tuple[str, ...] = ()

    def count_pictures(self) -> dict[str, int]:
        """How many each split gets."""
        clips = self.sequences * self.frames
        return {"train": self.train, "val": self.val, "sequences": clips}

    def to_record(self) -> dict[str, Any]:
        """For the settings file: everything that decides about the pixels."""
        names = "\n".join(f"{Path(p).name} {Path(p).stat().st_size}" for p in self.backgrounds)
        return {
            **asdict(self),
            "difficulty": list(self.difficulty),
            "backgrounds": hashlib.sha256(names.encode()).hexdigest()[:16] if names else "",
            "assets": VERSION,
            "recipe": RECIPE,
        }


@dataclass(frozen=True)
class _Job:
    """One chunk: pictures `first` to `last` of a split, or one clip."""

    settings: Settings
    folder: Path
    split: str
    number: int
    first: int
    last: int

    @property
    def record_path(self) -> Path:
        return _unfinished_folder(self.folder) / f"{self.split}_{self.number:06}.json"


def generate(
    folder: str | Path,
    settings: Settings,
    *,
    processes: int = 1,
    force: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> bool:
    """Make the set, or what is missing of it.

    Args:
        folder: of the data set; gets images/, annotations/ and dets/.
        settings: what to make.
        processes: how many draw at the same time; the result does not depend on it.
        force: delete a set of other settings first; what this program did not make stays.
        on_progress: called with the pictures that are there and those that will be.

    Returns:
        Whether anything had to be made.

    Raises:
        ValueError: the folder holds a set of other settings or what this program did not make,
            links stand where `force` would delete, more pictures are asked for than there are ids,
            or OpenCV is too old.
        FileNotFoundError: the body's assets are not installed.
        OSError: the folder cannot be written.
    """
    check_rasterizer()
    for split, count in settings.count_pictures().items():
        if count > _MOST:
            raise ValueError(f"{split} must have at most {_MOST:,} pictures. Received {count:,}.")
    folder = Path(folder).resolve()
    state = _prepare(folder, settings, force)
    if state == "complete":
        return False
    load_assets()  # parsed once, before many processes ask for it
    jobs = list(_list_jobs(folder, settings))
    total = sum(job.last - job.first for job in jobs)
    waiting = [job for job in jobs if not job.record_path.is_file()]
    done = total - sum(job.last - job.first for job in waiting)
    on_progress(done, total)
    for job in _run_jobs(waiting, processes):
        done += job.last - job.first
        on_progress(done, total)
    _assemble(folder, settings, jobs)
    return True


def _unfinished_folder(folder: Path) -> Path:
    return folder / "annotations" / ".unfinished"


def _prepare(folder: Path, settings: Settings, force: bool) -> str:
    """Make the folders ready; "complete" where all is there, else "unfinished"."""
    path = _settings_path(folder)
    wanted = settings.to_record()
    found = _read_settings(path)
    if found is None:
        if any(path.suffix != UNFINISHED for n in _FOLDERS for path in (folder / n).glob("*")):
            raise ValueError(
                f"{folder} holds images, annotations or dets that this program did not make, which "
                "--force does not delete. Choose another --output."
            )
    elif found["settings"] == wanted:
        if found["complete"] and _is_whole(folder, settings):
            return "complete"
    elif force:
        _delete_set(folder)
    else:
        raise ValueError(_explain_difference(folder, found["settings"], wanted))
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{folder} must be a folder that can be written. Received: {error.strerror}. Choose "
            "another --output."
        ) from error
    write_json_atomically(path, {"settings": wanted, "complete": False})
    return "unfinished"


def _settings_path(folder: Path) -> Path:
    return folder / "annotations" / SETTINGS_FILE


def _read_settings(path: Path) -> dict[str, Any] | None:
    """What the settings file of a set says; None where there is none, or another program's."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    ours = isinstance(found, dict) and isinstance(found.get("settings"), dict)
    return found if ours and "complete" in found else None


def _delete_set(folder: Path) -> None:
    """Delete what this program makes, records before pictures, settings last, and nothing else.

    Raises:
        ValueError: some of it lies behind a link, which may lead to what is not ours.
    """
    own = [_unfinished_folder(folder), folder / "dets" / DETECTIONS_FILE]
    own += [folder / "annotations" / f"{split}.json" for split in _FIRST_ID]
    own += [folder / "images" / split for split in _FIRST_ID]
    own += [_settings_path(folder)]
    for path in (*(folder / name for name in _FOLDERS), *own):
        if path.is_symlink():
            raise ValueError(
                f"--force deletes nothing behind links. Received {path}, which leads to "
                f"{path.resolve()}; empty that yourself, or choose another --output."
            )
    for path in own:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _is_whole(folder: Path, settings: Settings) -> bool:
    """Whether nothing was taken away from a set since it was complete."""
    if not (folder / "dets" / DETECTIONS_FILE).is_file():
        return False
    for split, count in settings.count_pictures().items():
        found = (folder / "images" / split).rglob("*.jpg")
        pictures = sum(1 for path in found if path.parent.suffix != UNFINISHED)
        annotated = (folder / "annotations" / f"{split}.json").is_file()
        if count and not (annotated and pictures >= count):
            return False
    return True


def _explain_difference(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> str:
    differences = ", ".join(
        f"{key} {found.get(key)} instead of {value}"
        for key, value in wanted.items()
        if found.get(key) != value
    )
    return (
        f"{folder} holds a set of other settings: {differences}. Repeat its settings, choose "
        "another --output, or let --force delete it."
    )


def _list_jobs(folder: Path, settings: Settings) -> Iterator[_Job]:
    for split, count in (("train", settings.train), ("val", settings.val)):
        for number, first in enumerate(range(0, count, _CHUNK)):
            yield _Job(settings, folder, split, number, first, min(first + _CHUNK, count))
    for clip in range(settings.sequences):
        first = clip * settings.frames
        yield _Job(settings, folder, "sequences", clip, first, first + settings.frames)


def _run_jobs(jobs: list[_Job], processes: int) -> Iterator[_Job]:
    """Runs all, giving each back when its record is written."""
    if processes <= 1 or len(jobs) <= 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for job in jobs:
                yield _run_job(job)
        finally:
            cv2.setNumThreads(threads)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_start_worker)
    try:
        futures: list[Future[_Job]] = [pool.submit(_run_job, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """One thread that draws; the parent alone answers to Ctrl-C, and is not outlived."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process once its parent has ended, even where that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_job(job: _Job) -> _Job:
    images, annotations, detections = [], [], []
    for image_id, file_name, scene, extra in _draw_job(job):
        path = job.folder / "images" / job.split / file_name
        write_image_atomically(path, scene.image_rgb, jpeg_quality=_JPEG_QUALITY, flush=False)
        images.append({**image_entry(scene, image_id, file_name), **extra})
        annotations += annotation_entries(scene, image_id)
        rng = np.random.default_rng((job.settings.seed, image_id, 3))
        detections += detection_entries(rng, scene, image_id)
    record = {"images": images, "annotations": annotations, "detections": detections}
    write_json_atomically(job.record_path, record)
    return job


def _draw_job(job: _Job) -> Iterator[tuple[int, str, Scene, dict[str, Any]]]:
    """Picture id, file name, scene and further fields of the picture's entry."""
    settings, assets, start = job.settings, load_assets(), _FIRST_ID[job.split]
    backgrounds = tuple(map(Path, settings.backgrounds))
    if job.split == "sequences":
        clip = make_clip(
            assets,
            seed=settings.seed,
            index=job.number,
            frames=settings.frames,
            difficulty=_difficulty(settings, start + job.number),
            backgrounds=backgrounds,
        )
        for frame, scene in enumerate(clip):
            name = f"clip_{job.number + 1:06}/{frame + 1:06}.jpg"
            extra = {"video_id": job.number + 1, "frame_id": frame}
            yield start + job.first + frame, name, scene, extra
        return
    for image_id in range(start + job.first, start + job.last):
        scene = make_scene(
            assets,
            seed=settings.seed,
            index=image_id,
            difficulty=_difficulty(settings, image_id),
            backgrounds=backgrounds,
        )
        yield image_id, f"{image_id:012}.jpg", scene, {}


def _difficulty(settings: Settings, number: int) -> Difficulty:
    rng = np.random.default_rng((settings.seed, number, 5))
    return settings.difficulty[rng.integers(len(settings.difficulty))]


def _assemble(folder: Path, settings: Settings, jobs: list[_Job]) -> None:
    """One annotation file a split, one file of detections for all; then the set is complete."""
    detections: list[dict[str, Any]] = []
    for split in _FIRST_ID:
        records = [
            json.loads(job.record_path.read_text(encoding="utf-8"))
            for job in jobs
            if job.split == split
        ]
        if not records:
            continue
        content = {
            "info": {"description": f"poseras synthetic people, {split}"},
            "images": [entry for record in records for entry in record["images"]],
            "annotations": [entry for record in records for entry in record["annotations"]],
            "categories": [CATEGORY],
        }
        write_json_atomically(folder / "annotations" / f"{split}.json", content)
        detections += [entry for record in records for entry in record["detections"]]
    write_json_atomically(folder / "dets" / DETECTIONS_FILE, detections)
    images = folder / "images"
    clips = (images / "sequences").glob("clip_*")
    for place in (folder / "annotations", folder / "dets", *images.glob("*"), *clips):
        remove_leftovers(place)
    finished = {"settings": settings.to_record(), "complete": True}
    write_json_atomically(_settings_path(folder), finished)
    shutil.rmtree(_unfinished_folder(folder), ignore_errors=True)
