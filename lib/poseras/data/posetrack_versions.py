"""Whether the files of a test on PoseTrack belong together.

PoseTrack 2018 has labels of two versions whose validation splits differ: 74 sequences in 0.2, 170
in 0.45. Sequence files, annotations and detections must be of the same one: scores over sequences
that nothing was detected in would be low without a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..structures import ImageTable, PersonRecords
from .posetrack_release import Sequences

_ADVICE = (
    "PoseTrack 2018's labels 0.2 have 74 validation sequences and 0.45 has 170; take all files "
    "from one of them"
)
#: So many names stand in a message.
_NAMED = 3


def check_annotated_sequences(
    sequences: Sequences, images: ImageTable, folder: Path, annotations: Path
) -> None:
    """Refuse sequence files and annotations of different versions or splits.

    Args:
        sequences: the original files.
        images: those of the annotation file.
        folder: of the original files.
        annotations: path of the annotation file.

    Raises:
        ValueError: a sequence lacks all of its pictures in the annotation file, or a picture of
            that file is in no sequence.
    """
    known = set(images.ids.tolist())
    ids = {name: [image["id"] for image in c["images"]] for name, c in sequences.items()}
    absent = [name for name, members in ids.items() if members and known.isdisjoint(members)]
    if absent:
        raise ValueError(
            f"{len(absent)} of the {len(sequences)} sequences of {folder} are not in "
            f"{annotations}: {_name(absent)}. {_ADVICE}, and run tool/posetrack2coco.py on them."
        )
    strange = known.difference(*ids.values())
    if strange:
        raise ValueError(
            f"{len(strange)} of the {len(known)} pictures of {annotations} are in no sequence of "
            f"{folder}, the first is {min(strange)}. {_ADVICE}, and run tool/posetrack2coco.py on "
            "them."
        )


def find_undetected_sequences(
    sequences: Sequences, records: PersonRecords, detections: Path
) -> str:
    """A line that names the sequences without a single detection; empty where there are none.

    Args:
        sequences: the original files.
        records: the detected people.
        detections: path of their file.
    """
    looked_at = set(np.unique(records.image_ids).tolist())
    without = [
        name
        for name, content in sequences.items()
        if content["images"] and looked_at.isdisjoint(image["id"] for image in content["images"])
    ]
    if not without:
        return ""
    return (
        f"The boxes of {detections} lie on {len(sequences) - len(without)} of the "
        f"{len(sequences)} sequences, none on {_name(without)}. {_ADVICE}, and detect people on "
        "its pictures."
    )


def _name(names: Iterable[str]) -> str:
    listed = [Path(name).stem for name in names]
    rest = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
