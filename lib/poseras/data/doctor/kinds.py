"""The kinds of faults that the doctor knows: code, severity, what it means, what to do.

`error`: programs stop at it, or learn and score something wrong. `warning`: probably wrong, look
at it. `note`: usual in published data sets and worth knowing; a data set with notes alone is clean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        code: its name, for scripts.
        severity: see the module.
        meaning: one line.
        advice: what to do, one line.
        mendable: `mending` repairs it without guessing.
    """

    code: str
    severity: Severity
    meaning: str
    advice: str
    mendable: bool = False


_ALL = (
    Kind(
        "file-unreadable",
        "error",
        "a file that dataset.yaml names is not JSON, or not in COCO format",
        "copy or convert it again; data/README.md shows the format",
    ),
    Kind(
        "entry-malformed",
        "error",
        "an entry lacks a field, or a field has the wrong type",
        "mend the program that wrote it; data.on_bad_sample=skip leaves such entries out",
    ),
    Kind(
        "people-missing",
        "error",
        "a file has no list annotations or an empty one, which only test splits may",
        "name the file with the people in dataset.yaml, or copy or convert it again",
    ),
    Kind(
        "keypoint-names",
        "error",
        "the file's categories do not name the keypoints of dataset.yaml, each once",
        "it is of another skeleton, or other spellings belong under aliases in dataset.yaml",
    ),
    Kind(
        "keypoint-count",
        "error",
        "an annotation has another number of keypoints than its file names",
        "it is of another skeleton; convert it or take it out",
    ),
    Kind(
        "flip-pairs",
        "warning",
        "flip_pairs of dataset.yaml does not pair left with right of the same name",
        "mend flip_pairs: mirrored training and the flip test swap these joints",
    ),
    Kind(
        "category-unknown",
        "error",
        "an annotation is of a category that the file does not list",
        "list the category, or mend category_id: such rows are passed over in silence",
    ),
    Kind(
        "category-mixed",
        "warning",
        "several categories have keypoints, and are trained as one",
        "split the file, one category each, if they are different things",
    ),
    Kind(
        "category-without-keypoints",
        "note",
        "annotations of a category without keypoints, which the programs pass over",
        "nothing, if these are things beside the people",
    ),
    Kind(
        "image-id-doubled",
        "error",
        "two pictures have one id",
        "give each its own id; entries that are equal throughout are mended by leaving one out",
        mendable=True,
    ),
    Kind(
        "image-listed-twice",
        "warning",
        "one file is listed under two ids",
        "leave one out, or its people count twice",
    ),
    Kind(
        "image-outside-folder",
        "error",
        "a file name is empty or leads out of the folder of pictures",
        "write names relative to the folder that dataset.yaml names",
    ),
    Kind(
        "image-size-unknown",
        "warning",
        "a picture has no width and height, which training needs",
        "fill them in; where the file is there --fix reads them from it",
        mendable=True,
    ),
    Kind(
        "picture-missing",
        "error",
        "a listed picture is not there",
        "link or fetch the pictures; or the split's images: names another folder",
    ),
    Kind(
        "picture-unreadable",
        "error",
        "a picture is empty, cut off or no picture",
        "fetch the file again",
    ),
    Kind(
        "picture-size",
        "error",
        "a picture has another size than the annotation file says",
        "take the original picture: keypoints count pixels of the size that is annotated",
    ),
    Kind(
        "picture-doubled",
        "warning",
        "two pictures of a split have the same content",
        "leave one out, or its people count twice",
    ),
    Kind(
        "picture-in-two-splits",
        "warning",
        "a picture is in two splits: what is tested was learned",
        "take it out of the training split",
    ),
    Kind(
        "annotation-id-doubled",
        "error",
        "two annotations have one id",
        "--fix gives the later one a new id, or leaves it out where both are equal",
        mendable=True,
    ),
    Kind(
        "annotation-id-zero",
        "warning",
        "an annotation has id 0, which COCO's evaluator counts as never found",
        "--fix gives it a new id",
        mendable=True,
    ),
    Kind(
        "annotation-without-image",
        "error",
        "an annotation stands on a picture that the file does not list",
        "add the picture; --fix leaves such annotations out",
        mendable=True,
    ),
    Kind(
        "person-doubled",
        "warning",
        "two annotations of one picture have the same keypoints",
        "leave one out, or the person counts twice",
    ),
    Kind(
        "number-not-finite",
        "error",
        "NaN or infinity in a box, an area or a keypoint",
        "--fix marks such a keypoint unlabelled and drops such an area; boxes are left to you",
        mendable=True,
    ),
    Kind(
        "visibility",
        "error",
        "a visibility that is none of 0 (unlabelled), 1 (hidden), 2 (seen)",
        "convert it; predictions often have scores in this place",
    ),
    Kind(
        "num-keypoints",
        "warning",
        "num_keypoints is not the number of keypoints with a visibility",
        "--fix counts again",
        mendable=True,
    ),
    Kind(
        "box-format",
        "error",
        "boxes look like left, top, right, bottom; they must be left, top, width, height",
        "subtract the first two numbers from the last two",
    ),
    Kind(
        "box-empty",
        "error",
        "the box of a labelled person has no width or no height",
        "draw it again; such people are passed over in testing",
    ),
    Kind(
        "box-outside",
        "error",
        "a box lies outside its picture",
        "wrong picture, wrong size or wrong format of boxes",
    ),
    Kind(
        "box-leaves-picture",
        "note",
        "a box reaches out of its picture, as those of MPII and PoseTrack do",
        "nothing: the programs cut boxes where they must",
    ),
    Kind(
        "area-wrong",
        "warning",
        "the area of a person is not positive, or larger than the box",
        "mend it: scores by size depend on it; --fix drops areas that are not positive",
        mendable=True,
    ),
    Kind(
        "keypoints-outside-box",
        "warning",
        "most labelled keypoints of a person lie outside the box",
        "box and keypoints are of two people, of two sizes, or x and y changed places",
    ),
    Kind(
        "keypoints-outside-picture",
        "warning",
        "a labelled keypoint lies far outside the picture",
        "mark it unlabelled (x, y, v = 0), or look at the size of the picture",
    ),
    Kind(
        "keypoints-beyond-border",
        "note",
        "a labelled keypoint lies a little outside the picture, as some of PoseTrack's do",
        "nothing: outside the view it is not learned",
    ),
    Kind(
        "keypoints-in-one-point",
        "error",
        "all labelled keypoints of a person lie in one point",
        "a default was written in the place of positions; mark them unlabelled",
    ),
    Kind(
        "crowd-labelled",
        "note",
        "a crowd (iscrowd 1) has labelled keypoints, which training passes over",
        "iscrowd 0, if it is one person",
    ),
    Kind(
        "joint-never-labelled",
        "note",
        "a joint is labelled on nobody of a split",
        "nothing, if the data set does not have it: the network will not learn it",
    ),
    Kind(
        "sides-swapped",
        "error",
        "left and right of these joints are exchanged on most people of a split",
        "exchange their names in the file, or mend the order of the keypoints",
    ),
    Kind(
        "people-turned-away",
        "warning",
        "most people of a split seem to be seen from behind",
        "look at some pictures: left and right may be exchanged throughout",
    ),
    Kind(
        "sides-suspicious",
        "warning",
        "left and right of one person contradict each other",
        "look at the picture; exchange the joints if they are on the wrong sides",
    ),
    Kind(
        "label-versions",
        "error",
        "PoseTrack's sequences, annotations and detections are not of one label version",
        "take all files from version 0.2 (74 validation sequences) or from 0.45 (170)",
    ),
    Kind(
        "detection-malformed",
        "error",
        "a detection has NaN, no size, or a score outside 0..1",
        "mend the detector's output; such boxes are refused or passed over",
    ),
    Kind(
        "detection-category",
        "note",
        "detections of other categories than 1, which the programs pass over",
        "nothing, if the detector finds other things too; people must be category 1",
    ),
    Kind(
        "detection-without-image",
        "warning",
        "detections lie on pictures that are in no split of the data set",
        "take the detections of these pictures; image_id must be the id of the annotation file",
    ),
    Kind(
        "detection-outside",
        "warning",
        "a detection lies outside its picture",
        "another size of pictures, or another format of boxes",
    ),
    Kind(
        "pictures-undetected",
        "warning",
        "most pictures with people have no detection",
        "they count as missed; run the detector on all pictures of the split",
    ),
)

#: By code, in the order in which a table lists them.
KINDS: dict[str, Kind] = {kind.code: kind for kind in _ALL}
