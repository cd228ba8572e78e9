"""A training or a test on the first pictures of a file alone, for a quick look.

Which ones these are follows from the file, so that a run that is continued sees the same again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .evaluation_set import EvaluationSet


def on_first_pictures(image_index: np.ndarray, count: int) -> np.ndarray:
    """Which rows stand on the first pictures of a file, of those that have rows at all.

    Args:
        image_index: (rows,), places of their pictures in the file.
        count: of pictures; 0 is all.

    Returns:
        (rows,) bool.
    """
    return np.isin(image_index, np.unique(image_index)[: count or None])


def keep_first_pictures(
    test: EvaluationSet, count: int, pictures: np.ndarray | None = None
) -> EvaluationSet:
    """A test on its first pictures: nobody is looked for on the others, nor missed there.

    Args:
        test: on all pictures.
        count: of pictures; 0 is all.
        pictures: (pictures,), places in the file of those that are looked at; by default of those
            with an annotation, or in a file without any of all.

    Returns:
        Its `origin`, which goes into the protocol, tells how many pictures of how many there are,
        and `count`.

    Raises:
        ValueError: the protocol of the data set scores whole sequences, or nobody is looked for on
            these pictures.
    """
    if not count:
        return test
    rule = test.files.dataset.evaluation
    if rule == "posetrack":
        raise ValueError(
            f"The protocol posetrack of {test.files.dataset.name} scores whole sequences. Received "
            f"test.most_pictures={count}; set it to 0, or name a smaller file under "
            "test.annotations."
        )
    table, records = test.table, test.records
    if pictures is None:
        pictures = table.image_index if len(table) else np.arange(len(table.images))
    known = np.unique(pictures)
    first = known[on_first_pictures(known, count)]
    looked_for = np.isin(records.image_index, first)
    if len(records) and not looked_for.any():
        raise ValueError(
            f"There must be people to look for on the first pictures of {table.source}. Received "
            f"none on the first {count}; set test.most_pictures to a higher number."
        )
    return replace(
        test,
        table=table.take(np.flatnonzero(np.isin(table.image_index, first))),
        records=records.take(np.flatnonzero(looked_for)),
        scored_images=table.images.ids[first],
        origin={
            **test.origin,
            "pictures": f"the first {len(first)} of {len(known)}",
            "most_pictures": count,
        },
    )
