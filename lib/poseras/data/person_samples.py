"""The samples of some people: read their pictures, place their views, decode and warp.

Both pipelines and the predictor make their samples here. Whatever batch a sample is made in, it
comes out the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..structures import PersonRecords, SpaceColumns, View
from . import augment
from .colours import change_colours
from .occluders import paste_occluders
from .warp import Picture, decode_window, find_windows, open_picture, warp_view

Batch = dict[str, np.ndarray]
#: What a bad sample raises: a missing or unreadable file, damaged data, a box without a size.
SampleError = (OSError, ValueError)

PERSON_KEYS = (
    "image",
    "keypoints",
    "boxes_xywh",
    "image_to_network",
    "view_scale",
    "channel_gain",
    "index",
    "image_id",
    "annotation_id",
)
#: The keys beside them where records have columns in space.
SPACE_KEYS = ("joints_camera_mm", "joints_valid", "root_camera_mm", "camera")


@dataclass(frozen=True)
class PersonSource:
    """What person samples are made of, the same for every batch.

    Attributes:
        records: the people.
        view: how they become network input.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        upper_body: (joints,) bool, for half bodies.
        pictures: RGB arrays in the place of the files of `records.images`, or None.
        occluders: RGBA pictures that augmentation pastes; without any it pastes rectangles.
    """

    records: PersonRecords
    view: View
    flip_permutation: np.ndarray
    upper_body: np.ndarray | None = None
    pictures: Sequence[np.ndarray] | None = None
    occluders: Sequence[np.ndarray] = ()

    def draw(self, seed: int, passes: np.ndarray, rows: np.ndarray) -> augment.Draws:
        """The random numbers of the samples of some rows."""
        return augment.draw(seed, passes, rows)

    def make(
        self, rows: np.ndarray, draws: augment.Draws | None
    ) -> tuple[Batch, dict[int, Exception]]:
        """Make the samples of some rows.

        Args:
            rows: (samples,) of the records.
            draws: random numbers of these samples; None for undisturbed views.

        Returns:
            batch: the keys of a person sample, batch axis first. A sample that could not be made
                has image 0.
            errors: by slot of the batch.
        """
        records, view = self.records, self.view
        pictures, errors = self._read(records.image_index[rows])
        sizes_hw = np.array([picture.size_hw if picture else (1, 1) for picture in pictures])
        boxes, keypoints = records.boxes_xywh[rows], records.keypoints[rows]
        space = None if records.space is None else records.space.take(rows)
        placement = augment.place_people(boxes, view, space)
        if draws is not None:
            laws = view.augmentation
            placement = augment.disturb(placement, keypoints, draws, laws, self.upper_body)
        matrices = augment.placement_matrices(placement, view)
        images, damaged = warp_people(pictures, matrices, sizes_hw, view)
        gains = np.ones((len(rows), 3), np.float32)
        if draws is not None:
            gains = augment.colour_gains(draws, view.augmentation)
            change_colours(images, draws, view.augmentation)
            occlude_images(images, draws, view.augmentation.occlusion_probability, self.occluders)
        shown = augment.keypoints_in_view(
            keypoints,
            matrices,
            placement.mirrored,
            image_widths=sizes_hw[:, 1],
            flip_permutation=self.flip_permutation,
            view=view,
        )
        batch = {
            "image": images,
            "keypoints": shown[:, None],
            "boxes_xywh": boxes[:, None].astype(np.float32),
            "image_to_network": matrices.astype(np.float32),
            "view_scale": placement.scale.astype(np.float32),
            "channel_gain": gains,
            "index": np.asarray(rows, np.int64),
            "image_id": records.image_ids[rows].astype(np.int64),
            "annotation_id": records.annotation_ids[rows].astype(np.int64),
        }
        if space is not None:
            batch |= space_in_view(space, placement.mirrored, self.flip_permutation)
        return batch, errors | damaged

    def _read(self, images: np.ndarray) -> tuple[list[Picture | None], dict[int, Exception]]:
        paths = self.records.images.paths
        if self.pictures is None:
            return read_pictures([paths[image] for image in images])
        given = {
            image: Picture(paths[image], array.shape[:2], pixels=array)
            for image in np.unique(images)
            for array in [self.pictures[image]]
        }
        return [given[image] for image in images], {}


def space_in_view(space: SpaceColumns, mirrored: np.ndarray, flip_permutation: np.ndarray) -> Batch:
    """The 3D keys of some samples.

    In a mirrored view left and right joints have changed places, as its keypoints have; coordinates
    stay those of the camera, whose depths a mirror does not change.

    Args:
        space: of these people.
        mirrored: (samples,) bool.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
    """
    joints, valid = space.joints_camera_mm, space.joints_valid.astype(np.float32)
    joints = np.where(mirrored[:, None, None], joints[:, flip_permutation], joints)
    valid = np.where(mirrored[:, None], valid[:, flip_permutation], valid)
    return {
        "joints_camera_mm": joints[:, None],
        "joints_valid": valid[:, None],
        "root_camera_mm": space.root_camera_mm[:, None],
        "camera": space.cameras.astype(np.float32),
    }


def read_pictures(
    paths: Sequence[str],
) -> tuple[list[Picture | None], dict[int, Exception]]:
    """Read the pictures of some samples; neighbours on the same picture share one object.

    Returns:
        pictures: one per path, None where it could not be read.
        errors: by place in `paths`.
    """
    pictures: list[Picture | None] = []
    errors: dict[int, Exception] = {}
    for place, path in enumerate(paths):
        if place and path == paths[place - 1]:
            pictures.append(pictures[-1])
            if place - 1 in errors:
                errors[place] = errors[place - 1]
            continue
        try:
            pictures.append(open_picture(path))
        except SampleError as error:
            pictures.append(None)
            errors[place] = error
    return pictures, errors


def warp_people(
    pictures: Sequence[Picture | None], matrices: np.ndarray, sizes_hw: np.ndarray, view: View
) -> tuple[np.ndarray, dict[int, Exception]]:
    """Decode and warp the views of some samples, a shared picture once.

    Args:
        pictures: as `read_pictures` gives them.
        matrices: (samples, 2, 3) from pictures to views.
        sizes_hw: (samples, 2) of the pictures.
        view: gives size, interpolation and border.

    Returns:
        images: (samples, height, width, 3) uint8 RGB, 0 where there is no picture.
        errors: by sample, of data that could not be decoded.
    """
    images = np.zeros((len(pictures), *view.size_hw, 3), np.uint8)
    errors: dict[int, Exception] = {}
    windows = find_windows(matrices, view, sizes_hw)
    for start, end in _shared_runs(pictures):
        picture = pictures[start]
        if picture is None:
            continue
        try:
            pixels, origin = _decode_union(picture, windows[start:end])
        except SampleError as error:
            errors.update(dict.fromkeys(range(start, end), error))
            continue
        for slot in range(start, end):
            # Each view gets its own window, so that sharing a picture changes no rounding.
            left, top, right, bottom = windows[slot]
            part = pixels[
                top - origin[1] : bottom - origin[1], left - origin[0] : right - origin[0]
            ]
            images[slot] = warp_view(part, (left, top), matrices[slot], view)
    return images, errors


def _shared_runs(pictures: Sequence[Picture | None]) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch of neighbours that hold the same object."""
    start = 0
    for place in range(1, len(pictures) + 1):
        if place == len(pictures) or pictures[place] is not pictures[start]:
            yield start, place
            start = place


def _decode_union(picture: Picture, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of the smallest rectangle around some windows, and its left top corner."""
    filled = windows[(windows[:, 2:] > windows[:, :2]).all(axis=1)]
    if len(filled) == 0:  # the views lie beside the picture
        return np.zeros((0, 0, 3), np.uint8), np.zeros(2, np.int64)
    union = np.concatenate([filled[:, :2].min(axis=0), filled[:, 2:].max(axis=0)])
    return decode_window(picture, union.tolist()), union[:2]


def occlude_images(
    images: np.ndarray,
    draws: augment.Draws,
    probability: float,
    occluders: Sequence[np.ndarray] = (),
) -> None:
    """Paste what the draws ask for into (samples, height, width, 3), in place.

    Args:
        images: uint8.
        draws: of these samples.
        probability: how often something is pasted.
        occluders: RGBA pictures of objects; without any, rectangles are pasted.
    """
    if probability <= 0:
        return
    for slot in np.flatnonzero(draws.u_occlusion <= probability):
        if occluders:
            paste_occluders(images[slot], occluders, draws.paint_keys[slot])
        else:
            augment.paste_rectangle(images[slot], draws.u_rectangle[slot], draws.paint_keys[slot])
