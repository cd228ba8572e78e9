"""Poses in space of a 3D run: errors of joints, the worst and the median people, poses to turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.annotation import read_split
from ..data.dataset import load_dataset
from ..data.images import read_image
from ..metrics.mpjpe import SpaceEvaluation, evaluate_poses
from ..skeleton import Skeleton
from ..structures import People
from ..visualize import draw_people
from ..visualize_space import draw_pose_views, write_pose_page
from .pictures import LONGEST_PX, Picture, cut_to, encode_jpeg, find_path
from .runs import Run, read_json

#: People that can be leafed through on the page.
SHOWN = 200


@dataclass(frozen=True)
class SpacePoses:
    """The poses of a run in camera space.

    Attributes:
        skeleton: of the poses.
        people: as `poses_3d.json` holds them.
        evaluation: errors of each joint, 17 joints, aligned without a scale.
    """

    skeleton: Skeleton
    people: Sequence[Mapping[str, Any]]
    evaluation: SpaceEvaluation

    @property
    def errors_mm(self) -> np.ndarray:
        """(people,) mean error of each person's joints, NaN where none is known."""
        errors = self.evaluation.errors_mm
        counts = np.isfinite(errors).sum(axis=1)
        return np.where(counts > 0, np.nansum(errors, axis=1) / np.maximum(counts, 1), np.nan)

    @property
    def annotation_ids(self) -> np.ndarray:
        """(people,) int64."""
        return np.array([person["annotation_id"] for person in self.people], np.int64)


def read_space(run: Run) -> SpacePoses | None:
    """The poses of a run, None where it is no 3D run.

    Raises:
        ValueError: the file is not what `main/test.py` writes.
    """
    path = run.folder / "poses_3d.json"
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not content.get("people"):
        raise ValueError(f"{path} must hold a skeleton and people. Test the run again.")
    skeleton, people = Skeleton.from_dict(content["skeleton"]), content["people"]
    unknown = [None, None, None]
    truth = np.array([[j or unknown for j in p["joints_true_mm"]] for p in people], np.float64)
    evaluation = evaluate_poses(
        np.array([person["joints_camera_mm"] for person in people], np.float64),
        np.nan_to_num(truth),
        skeleton.keypoints,
        valid=np.asarray(np.isfinite(truth).all(axis=-1)),
        variant=17,
        with_scale=False,
    )
    return SpacePoses(skeleton, people, evaluation)


def trace_pck(errors_mm: np.ndarray, limits_mm: np.ndarray) -> np.ndarray:
    """(limits, 2) a limit in mm and the percentage of the joints within it."""
    known = np.sort(errors_mm[np.isfinite(errors_mm)])
    within = np.searchsorted(known, limits_mm, side="right") / max(len(known), 1)
    return np.stack([limits_mm, 100 * within], axis=-1)


def write_view(space: SpacePoses, title: str, annotation_ids: np.ndarray) -> str:
    """A page of some people in this order, for a frame of the report."""
    place = {int(i): row for row, i in enumerate(space.annotation_ids)}
    chosen = [space.people[place[int(i)]] for i in annotation_ids if int(i) in place]
    return write_pose_page(chosen, space.skeleton, title=title)


def choose_shown(space: SpacePoses) -> np.ndarray:
    """Annotation ids of at most `SHOWN` people spread evenly from the worst to the best."""
    order = np.argsort(-space.errors_mm, kind="stable")
    places = np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int)
    return space.annotation_ids[order[places]]


def show_people(
    spaces: Sequence[SpacePoses],
    names: Sequence[str],
    annotation_ids: Sequence[int],
    paths: Mapping[int, str],
) -> list[Picture]:
    """The prediction of each run on the picture, and beside it in space over the truth in grey.

    Args:
        spaces: of one or two runs.
        names: of the runs.
        annotation_ids: of the people.
        paths: image id -> file.
    """
    return [_show_person(spaces, names, int(i), paths) for i in annotation_ids]


def _show_person(
    spaces: Sequence[SpacePoses], names: Sequence[str], annotation_id: int, paths: Mapping[int, str]
) -> Picture:
    rows = [int(np.flatnonzero(s.annotation_ids == annotation_id)[0]) for s in spaces]
    people = [space.people[row] for space, row in zip(spaces, rows, strict=True)]
    shown = " / ".join(f"{s.errors_mm[r]:.0f} mm" for s, r in zip(spaces, rows, strict=True))
    path = paths.get(people[0]["image_id"], "")
    name = path.rpartition("/")[2] or f"image {people[0]['image_id']}"
    caption = f"{name}, person {annotation_id}, mean joint error {shown}"
    trouble, image = "", None
    try:
        image = read_image(path)
    except (OSError, ValueError) as error:
        trouble = " ".join(str(error).split())
    panels = []
    for space, person, run in zip(spaces, people, names, strict=True):
        if image is not None:
            panels.append((run, encode_jpeg(_draw_flat(image, person, space.skeleton))))
        panels.append((f"{run}, front and side", encode_jpeg(_draw_space(person, space.skeleton))))
    return Picture(caption, tuple(panels), trouble)


def _draw_flat(image: np.ndarray, person: Mapping[str, Any], skeleton: Skeleton) -> np.ndarray:
    points = np.array(person["keypoints_px"], np.float64)
    part = cut_to(image, points, lowest_ratio=1.0)
    everything = People(part.move(points)[None], np.ones((1, len(points))), np.ones(1))
    return draw_people(part.image, everything, skeleton)


def _draw_space(person: Mapping[str, Any], skeleton: Skeleton) -> np.ndarray:
    lost = [np.nan] * 3
    truth = np.array([joint or lost for joint in person["joints_true_mm"]], np.float64)
    pose = np.array(person["joints_camera_mm"], np.float64)
    return draw_pose_views(pose, skeleton, height=LONGEST_PX, truth_mm=truth)


def find_paths(run: Run, root: Path, image_ids: set[int]) -> dict[int, str]:
    """Where some pictures lie, by the annotation files of the run; those not found are left out."""
    dataset = load_dataset(root, str(run.protocol.get("dataset")))
    name = str(run.protocol.get("split"))
    split = dataset.split(name)
    paths: dict[int, str] = {}
    for file in (root / str(run.protocol.get("annotations")), *split.more_annotations):
        if file.is_file() and not image_ids <= paths.keys():
            table = read_split(dataset, name, annotations=file, on_bad_sample="skip")
            known = image_ids & set(table.images.ids.tolist())
            paths |= {image_id: find_path(table.images, image_id) for image_id in known}
    return paths
