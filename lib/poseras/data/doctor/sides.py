"""Left and right: statistics that tell whether they were exchanged.

All of them rest on one number, the turn of three points, which does not change when a person leans
or lies: the cross product of two vectors in the picture (x right, y down), divided by a length
squared.

* Face. Seen from the front, the way from the right eye to the left eye and from there down to the
  nose turns clockwise. Where both eyes and the nose are marked as seen, the face is towards us, so
  a clear turn the other way is an exchange. Of 280 such faces of COCO and of rendered people with
  a turn above 0.25, none turned the other way.
* Trunk. Shoulders and hips turn the same way around the trunk's axis, because nobody's hips face
  backwards: where both are clearly wide (0.3 of the trunk's length) and turn opposite ways, one of
  the two is exchanged. None of 1,900 such people of COCO, CrowdPose and AI Challenger did.
* Other pairs (elbows, wrists, knees, ankles, eyes, ears) mostly lie on the side of their shoulder:
  82 % (ankles) to 99 % (eyes) of the people. Arms and legs may cross, so one person says nothing;
  a pair that lies on the other side on most of the people of a split is exchanged in the file.
* Facing. 71 to 92 % of the people in photographs face the camera. Sets without eyes have only
  this: where most people seem to be seen from behind, all sides may be exchanged.

A split is judged when that many people contradict that chance explains it less than once in a
million (binomial law, with the error rates below).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .columns import SplitColumns
from .findings import Findings

_FACE = ("left_eye", "right_eye", "nose")
_TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_SEEN = 2
#: Turns below these are too small to tell front from back; see above.
_FACE_TURN, _TRUNK_TURN, _PAIR_TURN = 0.25, 0.3, 0.1
#: Pixels from eye to eye or from eyes to nose, and from shoulders to hips.
_FACE_PX, _TRUNK_PX = 5.0, 20.0
#: How often a pair or a face may contradict by itself; measured: 0 to 18 %.
_FACE_ERRORS, _PAIR_ERRORS, _AWAY = 0.1, 0.25, 0.4
_CHANCE = 1e-6
#: Cameras that stand all around see half of the people from behind.
_AWAY_SHARE = 0.6


@dataclass(frozen=True)
class Turn:
    """The turn of one pair of joints on every person.

    Attributes:
        names: left and right.
        values: (people,) positive where the pair stands as on somebody who faces the camera.
        valid: (people,) bool, True where the joints are there and the turn is clear.
    """

    names: tuple[str, str]
    values: np.ndarray
    valid: np.ndarray

    @property
    def contradicts(self) -> np.ndarray:
        """(people,) bool: True where the turn is clear and negative."""
        return self.valid & (self.values < 0)


def check_sides(columns: SplitColumns, findings: Findings) -> str:
    """Look for exchanged sides on single people and on a whole split.

    Args:
        columns: of the split.
        findings: receives what is suspicious.

    Returns:
        One line that says why the sides were not judged; "" where they were.
    """
    if not set(_TRUNK) <= set(columns.names) and not set(_FACE) <= set(columns.names):
        return (
            "Left and right were not judged: that needs shoulders and hips, or eyes and nose, "
            "under their canonical names."
        )
    face = measure_faces(columns)
    swapped = []
    if face is not None and _is_exchanged(face, _FACE_ERRORS):
        swapped.append(_describe(face, "turn the wrong way around the nose"))
    twisted = np.zeros(len(columns), bool)
    if set(_TRUNK) <= set(columns.names):
        shoulders, hips = _measure_trunk(columns)
        twisted = shoulders.valid & hips.valid & (shoulders.values * hips.values < 0)
        swapped += _compare_pairs(columns, shoulders, hips)
        face_is_fine = face is not None and face.valid.sum() >= 10 and not swapped
        if not face_is_fine:
            _check_facing(shoulders, hips, twisted, findings)
    for line in swapped:
        findings.add("sides-swapped", line)
    if not swapped:  # else it is everybody
        _report_people(columns, findings, face, twisted)
    return ""


def measure_faces(columns: SplitColumns) -> Turn | None:
    """The turn of eyes and nose; None where the skeleton has none."""
    if not set(_FACE) <= set(columns.names):
        return None
    left, right, nose = (columns.keypoints[:, columns.names.index(name)] for name in _FACE)
    across, down = left - right, nose - (left + right) / 2
    length = np.maximum(_norm(across), _norm(down))
    seen = np.stack([left, right, nose])[..., 2] == _SEEN
    values = _divide(_cross(across, down), length**2)
    valid = seen.all(axis=0) & (length >= _FACE_PX) & (np.abs(values) >= _FACE_TURN)
    return Turn(_FACE[:2], values, valid)


def _measure_trunk(columns: SplitColumns) -> tuple[Turn, Turn]:
    """The turns of shoulders and of hips around the trunk's axis."""
    return measure_pair(columns, "shoulder", _TRUNK_TURN), measure_pair(columns, "hip", _TRUNK_TURN)


def measure_pair(columns: SplitColumns, joint: str, least: float = _PAIR_TURN) -> Turn:
    """The turn of `left_<joint>` and `right_<joint>` around the axis from shoulders to hips.

    Args:
        columns: of the split; its names hold shoulders, hips and the joint.
        joint: a name without its side.
        least: smaller turns are not valid.
    """

    def take(name: str) -> np.ndarray:
        return columns.keypoints[:, columns.names.index(name)]

    trunk = [take(name) for name in _TRUNK]
    axis = (trunk[2] + trunk[3] - trunk[0] - trunk[1]) / 2
    length = _norm(axis)
    names = (f"left_{joint}", f"right_{joint}")
    left, right = take(names[0]), take(names[1])
    values = _divide(_cross(left - right, axis), length**2)
    there = [columns.names.index(name) for name in (*_TRUNK, *names)]
    valid = columns.labelled[:, there].all(axis=1) & (length >= _TRUNK_PX)
    return Turn(names, values, valid & (np.abs(values) >= least))


def _compare_pairs(columns: SplitColumns, shoulders: Turn, hips: Turn) -> list[str]:
    """One line for each pair that lies on the other side of most people."""
    lines = []
    for joint in ("hip", "elbow", "wrist", "knee", "ankle", "eye", "ear"):
        if {f"left_{joint}", f"right_{joint}"} <= set(columns.names):
            turn = hips if joint == "hip" else measure_pair(columns, joint)
            both = turn.valid & shoulders.valid
            against = Turn(turn.names, turn.values * np.sign(shoulders.values), both)
            if _is_exchanged(against, _PAIR_ERRORS):
                lines.append(_describe(against, "lie on the other side than the shoulders"))
    return lines


def _check_facing(shoulders: Turn, hips: Turn, twisted: np.ndarray, findings: Findings) -> None:
    valid = shoulders.valid & hips.valid & ~twisted
    facing = Turn(shoulders.names, shoulders.values, valid)
    if _is_exchanged(facing, _AWAY, _AWAY_SHARE):
        count = int(facing.contradicts.sum())
        findings.add("people-turned-away", f"{count} of {valid.sum()} people are seen from behind.")


def _report_people(
    columns: SplitColumns, findings: Findings, face: Turn | None, twisted: np.ndarray
) -> None:
    wrong_face = face.contradicts if face is not None else np.zeros(len(columns), bool)
    findings.add_people(
        "sides-suspicious",
        wrong_face | twisted,
        columns,
        lambda row: (
            "has the eyes of a face that is seen from inside"
            if wrong_face[row]
            else "has shoulders and hips that face opposite ways"
        ),
    )


def _is_exchanged(turn: Turn, errors: float, share: float = 0.5) -> bool:
    """Whether more than a share contradicts, and more than chance explains at a rate of errors."""
    count, against = int(turn.valid.sum()), int(turn.contradicts.sum())
    return against > share * count and binomial_tail(against, count, errors) < _CHANCE


def binomial_tail(successes: int, trials: int, rate: float) -> float:
    """The chance of at least so many successes in independent trials."""
    log_terms = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(rate)
        + (trials - k) * math.log1p(-rate)
        for k in range(successes, trials + 1)
    ]
    return math.fsum(math.exp(term) for term in log_terms)


def _describe(turn: Turn, words: str) -> str:
    pair = " and ".join(turn.names)
    return f"{pair} {words} on {turn.contradicts.sum()} of {turn.valid.sum()} people."


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(people,) positive where b turns clockwise from a, as seen in a picture."""
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.hypot(vectors[:, 0], vectors[:, 1])


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """A quotient that is 0 where the denominator is 0 or not finite."""
    usable = np.isfinite(denominator) & (denominator > 0) & np.isfinite(numerator)
    return np.where(usable, numerator, 0) / np.where(usable, denominator, 1)
