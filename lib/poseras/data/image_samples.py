"""The samples of whole pictures: read, place or change, resize or warp, draw what is ignored.

Both pipelines and the predictor make their samples here. Whatever batch a sample is made in, it
comes out the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..picture_augmentation import PictureAugmentation
from ..structures import ImageRecords, View
from . import image_augment
from .ignored_regions import rasterise_regions
from .image_view import PicturePlacement, place_picture, view_picture
from .images import read_image
from .person_samples import Batch, SampleError
from .resized_samples import limit_scale, resize_and_mirror, resize_matrix, stack_resized

#: Keys of a sample in testing, and of one to learn from.
TESTED_KEYS = ("image", "image_to_network", "index", "image_id")
LEARNED_KEYS = (*TESTED_KEYS, "keypoints", "boxes_xywh", "ignore_mask")
#: And of one to learn from in a size of its own.
RESIZED_KEYS = (*LEARNED_KEYS, "shown_hw")
#: Height and width of what stands for a picture where not one of a batch could be read.
_BLANK_HW = (32, 32)

#: A warped view has no antialiased interpolation.
_FLAGS = {
    "linear": cv2.INTER_LINEAR,
    "pillow_linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
}


@dataclass(frozen=True)
class ImageSource:
    """What image samples are made of, the same for every batch.

    Attributes:
        records: the pictures.
        view: how they become network input.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`; used in training alone.
        pictures: RGB arrays in the place of the files of `records.images`, or None.
    """

    records: ImageRecords
    view: View
    flip_permutation: np.ndarray | None = None
    pictures: Sequence[np.ndarray] | None = None

    @property
    def resizes(self) -> bool:
        """Whether every picture is learned in a size of its own."""
        return self.view.picture_augmentation.form == "resize"

    def draw(self, seed: int, passes: np.ndarray, rows: np.ndarray) -> image_augment.PictureDraws:
        """The random numbers of the samples of some rows."""
        return image_augment.draw_pictures(seed, passes, rows)

    def make(
        self, rows: np.ndarray, draws: image_augment.PictureDraws | None
    ) -> tuple[Batch, dict[int, Exception]]:
        """Make the samples of some rows.

        Args:
            rows: (samples,) of the records.
            draws: random numbers of these samples, which make it a batch to learn from; None for
                undisturbed views to test on. They must all have one size.

        Returns:
            batch: `LEARNED_KEYS`, `RESIZED_KEYS` or `TESTED_KEYS`, batch axis first. A sample that
                could not be made has image 0.
            errors: by slot of the batch.
        """
        samples: dict[int, Batch] = {}
        errors: dict[int, Exception] = {}
        for slot, row in enumerate(np.asarray(rows)):
            try:
                pixels = self._read(int(row))
                if draws is None:
                    samples[slot] = self._make_tested(int(row), pixels)
                else:
                    samples[slot] = self._make_learned(int(row), pixels, draws, slot)
            except SampleError as error:
                errors[slot] = error
        return self._stack(samples, rows, draws is not None), errors

    def _read(self, row: int) -> np.ndarray:
        image = int(self.records.image_index[row])
        if self.pictures is not None:
            return self.pictures[image]
        return read_image(self.records.images.paths[image])

    def _place(self, row: int, pixels: np.ndarray) -> PicturePlacement:
        try:
            return place_picture(pixels.shape[:2], self.view)
        except ValueError as error:
            path = self.records.images.paths[self.records.image_index[row]]
            raise ValueError(f"{path}: {error}") from None

    def _make_tested(self, row: int, pixels: np.ndarray) -> Batch:
        placement = self._place(row, pixels)
        return {
            "image": view_picture(pixels, placement, self.view),
            "image_to_network": placement.matrix.astype(np.float32),
        }

    def _make_learned(
        self, row: int, pixels: np.ndarray, draws: image_augment.PictureDraws, slot: int
    ) -> Batch:
        first, last = self.records.first_person[row : row + 2]
        keypoints = self.records.people.keypoints[first:last]
        if self.resizes:
            image, matrix, mirrored = self._resize(pixels, draws, slot)
            ignored = self._resize_ignored(row, pixels.shape[:2], matrix)
        elif self.view.picture_augmentation == PictureAugmentation():
            placement = self._place(row, pixels)
            image, matrix = view_picture(pixels, placement, self.view), placement.matrix
            mirrored, ignored = False, self._warp_ignored(row, pixels.shape[:2], matrix)
        else:
            image, keypoints, matrix, mirrored = self._change(pixels, keypoints, draws, slot)
            ignored = self._warp_ignored(row, pixels.shape[:2], matrix)
        shown = image_augment.keypoints_in_picture_view(
            keypoints,
            matrix,
            image.shape[:2],
            self.flip_permutation if mirrored else None,
            self.view.outside_joints,
        )
        padded = np.zeros((self.records.most_people, *shown.shape[1:]), np.float32)
        boxes = np.zeros((self.records.most_people, 4), np.float32)
        padded[: len(shown)] = shown
        boxes[: len(shown)] = self.records.people.boxes_xywh[first:last]
        return {
            "image": image,
            "keypoints": padded,
            "boxes_xywh": boxes,
            "ignore_mask": ignored,
            "image_to_network": matrix.astype(np.float32),
        }

    def _change(
        self,
        pixels: np.ndarray,
        keypoints: np.ndarray,
        draws: image_augment.PictureDraws,
        slot: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """A view as laws and draws say: image, keypoints in the picture, affine, mirrored."""
        laws, size_hw = self.view.picture_augmentation, pixels.shape[:2]
        if draws.u_shift[slot] <= laws.keypoint_shift_probability:
            keypoints = image_augment.shift_keypoints(keypoints, draws.shift_keys[slot])
        change = image_augment.choose_change(draws, slot, laws)
        middle = None
        if laws.centre_on_people:
            middle = image_augment.find_middle(keypoints, size_hw)
        matrix = image_augment.change_matrix(change, size_hw, self.view.size_hw, middle)
        image = warp_picture(pixels, matrix, self.view, self.view.border_rgb)
        image = image_augment.change_colours(image, draws, slot, laws)
        return image, keypoints, matrix, change.mirrored

    def _resize(
        self, pixels: np.ndarray, draws: image_augment.PictureDraws, slot: int
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """A view of the picture's own size as laws and draws say: image, affine, mirrored."""
        laws, size_hw = self.view.picture_augmentation, pixels.shape[:2]
        change = image_augment.choose_change(draws, slot, laws)
        scale = limit_scale(change.scale_xy[0], size_hw, laws)
        image = resize_and_mirror(pixels, scale, change.mirrored)
        return image, resize_matrix(scale, change.mirrored, size_hw[1], laws), change.mirrored

    def _resize_ignored(self, row: int, size_hw: tuple[int, int], matrix: np.ndarray) -> np.ndarray:
        """(height, width) bool of the resized view."""
        regions = self.records.ignored_regions[row] if self.records.ignored_regions else b""
        ignored = rasterise_regions(regions, size_hw) if regions else np.zeros(size_hw, bool)
        learned = np.where(ignored, 0, 255).astype(np.uint8)
        return resize_and_mirror(learned, matrix[1, 1], matrix[0, 0] < 0) < 128

    def _warp_ignored(self, row: int, size_hw: tuple[int, int], matrix: np.ndarray) -> np.ndarray:
        """(height, width) bool of the view; what lies beside the picture is learned."""
        regions = self.records.ignored_regions[row] if self.records.ignored_regions else b""
        if not regions:
            return np.zeros(self.view.size_hw, bool)
        learned = np.where(rasterise_regions(regions, size_hw), 0, 255).astype(np.uint8)
        return warp_picture(learned, matrix, self.view, 255) < 128

    def _stack(self, samples: dict[int, Batch], rows: np.ndarray, learned: bool) -> Batch:
        """The samples of a batch one upon the other, 0 where there is none."""
        usual = next(iter(samples.values()), None) or self._blank(learned)
        blank = {key: np.zeros_like(values) for key, values in usual.items()}
        made = [samples.get(slot, blank) for slot in range(len(rows))]
        batch: Batch
        if learned and self.resizes:
            batch = stack_resized(made, self.view)
        else:
            batch = {key: np.stack([sample[key] for sample in made]) for key in blank}
        batch["index"] = np.asarray(rows, np.int64)
        batch["image_id"] = self.records.image_ids[rows].astype(np.int64)
        return batch

    def _blank(self, learned: bool) -> Batch:
        """What a sample holds where not one of a batch could be made."""
        height, width = self.view.size_hw if learned else (self.view.length, self.view.length)
        if learned and self.resizes:
            height, width = _BLANK_HW
        joints, people = self.records.people.keypoints.shape[1], self.records.most_people
        blank: Batch = {
            "image": np.zeros((height, width, 3), np.uint8),
            "image_to_network": np.zeros((2, 3), np.float32),
        }
        if learned:
            blank["keypoints"] = np.zeros((people, joints, 3), np.float32)
            blank["boxes_xywh"] = np.zeros((people, 4), np.float32)
            blank["ignore_mask"] = np.zeros((height, width), bool)
        return blank


def warp_picture(
    pixels: np.ndarray, matrix: np.ndarray, view: View, border: int | tuple[int, int, int]
) -> np.ndarray:
    """Sample a changed view from a whole picture or a map of it.

    Args:
        pixels: (height, width) or (height, width, 3) uint8.
        matrix: (2, 3), picture to view.
        view: gives size and interpolation.
        border: what lies beside the picture.
    """
    height, width = view.size_hw
    return cv2.warpAffine(
        pixels,
        matrix,
        (width, height),
        flags=_FLAGS[view.interpolation],
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )
