"""PoseTrack 2018's release, one JSON file per video sequence, and its conversion to COCO format.

Source: PoseTrack: A Benchmark for Human Pose Estimation and Tracking, Andriluka et al., CVPR 2018;
the conversion is that of TF-SimpleHumanPose's posetrack2coco, with the files in the order of their
names, where the original takes them as the file system lists them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .conversion import Conversion, require_fields

#: The published converter gives every picture this address.
_COCO_URL = "invalid"
_KNOWN_KEYS = frozenset(("images", "annotations", "categories"))
_PICTURES = "images/"

#: Content of the sequence files by file name, in the order of the names.
Sequences = dict[str, dict[str, Any]]


def read_sequences(folder: str | Path) -> Sequences:
    """Read the sequence files of one split.

    Args:
        folder: that holds them, `original_annotations/val` for example.

    Returns:
        Their contents by file name. `annotations` may be missing, as in files of the test split.

    Raises:
        FileNotFoundError: there is no such folder, or no .json file in it.
        ValueError: a file is not JSON or not a sequence of PoseTrack 2018; a picture or a person
            stands in two files, as where label versions are mixed; two files order the keypoints
            differently.
    """
    folder = Path(folder)
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise FileNotFoundError(
            f"No PoseTrack sequences in {folder}. It must hold the release's .json files, one per "
            "sequence; data/README.md shows where."
        )
    sequences = {path.name: _read_sequence(path) for path in paths}
    for group, word in (("images", "picture"), ("annotations", "person")):
        _refuse_doubles(sequences, group, word, folder)
    _refuse_other_keypoints(sequences, folder)
    return sequences


def list_pictures(sequences: Sequences, images: str | Path) -> dict[str, Path]:
    """Where the pictures of some sequences lie.

    Args:
        sequences: as `read_sequences` gives them.
        images: the folder that holds train/, val/ and test/, which file names call `images/`.

    Returns:
        The path of each picture by its `file_name`, in the order of the files.

    Raises:
        ValueError: a file name leads out of the folder.
    """
    paths = {}
    for name, content in sequences.items():
        for image in content["images"]:
            inner = Path(str(image["file_name"]).removeprefix(_PICTURES))
            if inner.is_absolute() or ".." in inner.parts:
                raise ValueError(
                    f"Pictures of {name} must lie inside {images}. Received file_name "
                    f"{image['file_name']!r}."
                )
            paths[image["file_name"]] = Path(images) / inner
    return paths


def convert_sequences(
    sequences: Sequences, sizes_hw: Mapping[str, tuple[int, int]], *, labelled: bool
) -> Conversion:
    """The sequences of one split as one file in COCO format.

    Every frame stays, those without labels too, and every person. A person without a labelled
    joint gets the box 0, 0, 0, 0.

    Args:
        sequences: as `read_sequences` gives them.
        sizes_hw: height and width of every picture, by its `file_name`.
        labelled: whether people are completed for training; those of the test split are copied.

    Raises:
        ValueError: a person is malformed, or stands on no picture of its file; it is named.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    for name, content in sequences.items():
        for image in content["images"]:
            height, width = sizes_hw[image["file_name"]]
            images.append({**image, "width": width, "height": height, "coco_url": _COCO_URL})
        known = {image["id"] for image in content["images"]}
        for person in content.get("annotations", ()):
            _check_picture(person, known, name)
            annotations.append(_complete_person(person, name) if labelled else person)
        for key in content.keys() - _KNOWN_KEYS:
            dropped[f"file-level entries {key!r}"] += 1
    categories = list(sequences.values())[-1]["categories"]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return Conversion(content, dict(sorted(dropped.items())))


def name_keypoints(sequences: Sequences, aliases: Mapping[str, str]) -> tuple[str, ...]:
    """The canonical names of the keypoints in the order of the files; none where they name none.

    Args:
        sequences: as `read_sequences` gives them.
        aliases: spelling of the files -> canonical keypoint name.
    """
    categories = next(iter(sequences.values()))["categories"]
    spelled = next((c["keypoints"] for c in categories if c.get("keypoints")), ())
    return tuple(aliases.get(name, name) for name in spelled)


def _read_sequence(path: Path) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} must be a PoseTrack 2018 file. It is not JSON: {error}; was it copied whole?"
        ) from None
    require_fields(content, ("images", "categories"), str(path))
    for group in ("images", "categories", "annotations"):
        entries = content.get(group, [])
        if not isinstance(entries, list) or (group == "categories" and not entries):
            raise ValueError(f"{path} must have a list of {group}. Received {entries!r:.60}.")
    for position, category in enumerate(content["categories"]):
        require_fields(category, ("id",), f"Category {position} of {path}")
    for position, image in enumerate(content["images"]):
        require_fields(image, ("id", "file_name"), f"Picture {position} of {path}")
    for position, person in enumerate(content.get("annotations", ())):
        require_fields(person, ("id", "image_id"), f"Person {position} of {path}")
    return content


def _refuse_doubles(sequences: Sequences, group: str, word: str, folder: Path) -> None:
    """Ids are unique in a release; its versions 0.2 and 0.45 number the same frames alike."""
    home: dict[Any, str] = {}
    for name, content in sequences.items():
        for entry in content.get(group, ()):
            if entry["id"] in home:
                raise ValueError(
                    f"{folder} must hold each {word} once. Received {word} {entry['id']} in "
                    f"{home[entry['id']]} and in {name}; labels of the versions 0.2 and 0.45 of "
                    "PoseTrack 2018 cannot be mixed, convert one of them."
                )
            home[entry["id"]] = name


def _refuse_other_keypoints(sequences: Sequences, folder: Path) -> None:
    """One order of keypoints for all files, since one list of categories stands for all."""
    first_name, first = next(iter(sequences.items()))
    order = [category.get("keypoints") for category in first["categories"]]
    for name, content in sequences.items():
        if [category.get("keypoints") for category in content["categories"]] != order:
            raise ValueError(
                f"The files of {folder} must name the same keypoints. Received others in {name} "
                f"than in {first_name}; convert one version of the labels at a time."
            )


def _check_picture(person: Mapping[str, Any], known: set[Any], name: str) -> None:
    if person["image_id"] not in known:
        raise ValueError(
            f"Person {person['id']} of {name} must stand on one of its {len(known)} pictures. "
            f"Received image_id {person['image_id']}."
        )


def _complete_person(person: dict[str, Any], name: str) -> dict[str, Any]:
    """A person with what COCO's format needs: num_keypoints, iscrowd, area, and a box."""
    where = f"Person {person['id']} of {name}"
    require_fields(person, ("keypoints",), where)
    _check_numbers(person["keypoints"], None, f"keypoints of {where}")
    count = sum(person["keypoints"][2::3])
    if count == 0:
        box: list[float] = [0, 0, 0, 0]
    else:
        require_fields(person, ("bbox",), where)
        box = person["bbox"]
        _check_numbers(box, 4, f"bbox of {where}")
    area = box[2] * box[3]
    return {**person, "bbox": box, "num_keypoints": count, "iscrowd": 0, "area": area}


def _check_numbers(values: Any, length: int | None, what: str) -> None:
    """A list of finite numbers of this length, or of a multiple of three."""
    fits = isinstance(values, list) and (
        len(values) == length if length else len(values) > 0 and len(values) % 3 == 0
    )
    if not fits or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        wanted = f"{length} numbers" if length else "x, y, v of each joint"
        raise ValueError(f"{what} must be {wanted}. Received {values!r:.80}.")
