"""From the angles of an anatomical pose to one rotation a bone.

A `Pose` says what a physiotherapist would say: how far the knee is bent, where the upper arm
points. All angles are degrees; sides come left first. At rest the arms hang 45 degrees out with
bent elbows, so every joint is turned from its rest angle to the one that is asked for.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from .assets import BodyAssets
from .body import Posture, Shape, bone_indices, pose_joints
from .rotations import angle_between, swing, turn, turn_xyz, unit

SIDES = (("L", 1.0), ("R", -1.0))
_SPINE = (
    *(("spine05", 0.25), ("spine04", 0.25), ("spine03", 0.2), ("spine02", 0.15)),
    ("spine01", 0.15),
)
_NECK = (("neck01", 0.2), ("neck02", 0.2), ("neck03", 0.2), ("head", 0.4))


@dataclass(frozen=True)
class Arm:
    """One arm, in degrees.

    Attributes:
        azimuth: where the upper arm points around the trunk: 0 sideways, 90 forward, -60 back.
        elevation: -90 hanging, 0 level, 90 overhead.
        twist: of the upper arm, positive turns the forearm inward.
        elbow: 0 straight, 150 fully bent.
        pronation: turns the hand about the forearm.
        wrist: bends the hand towards the palm.
        curl: of the fingers, 0 straight, 80 a fist.
    """

    azimuth: float = 45.0
    elevation: float = -80.0
    twist: float = 0.0
    elbow: float = 15.0
    pronation: float = 0.0
    wrist: float = 0.0
    curl: float = 20.0


@dataclass(frozen=True)
class Leg:
    """One leg, in degrees.

    Attributes:
        flex: of the hip, positive swings the thigh forward.
        abduct: positive swings it away from the other leg.
        twist: positive turns knee and toes outward.
        knee: 0 straight, 150 fully bent.
        ankle: positive points the toes down; not used while feet are set flat.
    """

    flex: float = 0.0
    abduct: float = 4.0
    twist: float = 6.0
    knee: float = 3.0
    ankle: float = 0.0


@dataclass(frozen=True)
class Pose:
    """A whole body, in degrees. `lean` and `roll` turn all of it: forward, to its left.

    `spine` and `head` are (forward, to the left, turned to the left). `flat_feet` sets the feet
    level on the ground as far as the ankles allow.
    """

    lean: float = 0.0
    roll: float = 0.0
    spine: tuple[float, float, float] = (0.0, 0.0, 0.0)
    head: tuple[float, float, float] = (0.0, 0.0, 0.0)
    arms: tuple[Arm, Arm] = (Arm(), Arm())
    legs: tuple[Leg, Leg] = (Leg(), Leg())
    flat_feet: bool = True


def interpolate_poses(first: Pose, second: Pose, share: float) -> Pose:
    """Every angle on its way from `first` (share 0) to `second` (share 1)."""

    def mix(one: float, other: float) -> float:
        return one + share * (other - one)

    def mix_all(ones: tuple[Any, Any], others: tuple[Any, Any]) -> tuple[Any, Any]:
        left, right = (
            type(a)(*map(mix, astuple(a), astuple(b))) for a, b in zip(ones, others, strict=True)
        )
        return left, right

    return Pose(
        lean=mix(first.lean, second.lean),
        roll=mix(first.roll, second.roll),
        spine=tuple(map(mix, first.spine, second.spine)),  # type: ignore[arg-type]
        head=tuple(map(mix, first.head, second.head)),  # type: ignore[arg-type]
        arms=mix_all(first.arms, second.arms),
        legs=mix_all(first.legs, second.legs),
        flat_feet=first.flat_feet if share < 0.5 else second.flat_feet,
    )


def apply_pose(assets: BodyAssets, shape: Shape, pose: Pose) -> Posture:
    """The body in a pose: root at its rest place, still facing -y unless it leans."""
    bones = bone_indices(assets.bones)
    rest = shape.joints.astype(np.float64)
    local = np.broadcast_to(np.eye(3), (len(assets.bones), 3, 3)).copy()
    root = turn_xyz(pose.lean, pose.roll, 0.0)
    for name, share in _SPINE:
        local[bones[name]] = turn_xyz(*(share * angle for angle in pose.spine))
    for name, share in _NECK:
        local[bones[name]] = turn_xyz(*(share * angle for angle in pose.head))
    for arm, (side, sign) in zip(pose.arms, SIDES, strict=True):
        _set_arm(local, rest, bones, arm, (side, sign))
    for leg, (side, sign) in zip(pose.legs, SIDES, strict=True):
        thigh = _set_leg(local, rest, bones, leg, (side, sign))
        if pose.flat_feet:
            local[bones[f"foot.{side}"]] = _level_foot(root @ thigh)
    return pose_joints(assets, shape, local, root)


def _set_arm(
    local: np.ndarray, rest: np.ndarray, bones: dict[str, int], arm: Arm, which: tuple[str, float]
) -> None:
    side, sign = which
    shoulder, elbow, wrist = (
        rest[0, bones[f"{name}.{side}"]] for name in ("upperarm01", "lowerarm01", "wrist")
    )
    upper, fore = unit(elbow - shoulder), unit(wrist - elbow)
    lift = max(arm.elevation + 20.0, 0.0) * 0.2
    local[bones[f"clavicle.{side}"]] = turn([0, 1, 0], -sign * lift)
    local[bones[f"shoulder01.{side}"]] = turn([0, 1, 0], -sign * lift * 0.5)
    carried = turn([0, 1, 0], -sign * lift * 1.5)
    half = turn(upper, sign * arm.twist / 2)
    target = swing(upper, _arm_direction(arm, sign))
    local[bones[f"upperarm01.{side}"]] = carried.T @ target @ half
    local[bones[f"upperarm02.{side}"]] = half
    hinge = np.cross(upper, fore)
    local[bones[f"lowerarm01.{side}"]] = turn(hinge, arm.elbow - angle_between(upper, fore))
    local[bones[f"lowerarm02.{side}"]] = turn(fore, sign * arm.pronation)
    _set_hand(local, rest, bones, arm, which)


def _arm_direction(arm: Arm, sign: float) -> np.ndarray:
    azimuth, elevation = np.deg2rad([arm.azimuth, arm.elevation])
    level = np.cos(elevation)
    return np.array([sign * level * np.cos(azimuth), -level * np.sin(azimuth), np.sin(elevation)])


def _set_hand(
    local: np.ndarray, rest: np.ndarray, bones: dict[str, int], arm: Arm, which: tuple[str, float]
) -> None:
    """Bends about the row of knuckles, which runs from the index to the little finger."""
    side, sign = which
    knuckles = (rest[0, bones[f"finger5-1.{side}"]] - rest[0, bones[f"finger2-1.{side}"]]) * sign
    local[bones[f"wrist.{side}"]] = turn(knuckles, arm.wrist)
    for finger in range(2, 6):
        for joint, share in ((1, 0.8), (2, 1.0), (3, 0.6)):
            local[bones[f"finger{finger}-{joint}.{side}"]] = turn(knuckles, share * arm.curl)
    for joint in (2, 3):
        local[bones[f"finger1-{joint}.{side}"]] = turn(knuckles, 0.4 * arm.curl)


def _set_leg(
    local: np.ndarray, rest: np.ndarray, bones: dict[str, int], leg: Leg, which: tuple[str, float]
) -> np.ndarray:
    """Sets hip, knee and ankle; returns (3, 3), the turn of the shin within the pelvis."""
    side, sign = which
    hip, knee, ankle = (
        rest[0, bones[f"{name}.{side}"]] for name in ("upperleg01", "lowerleg01", "foot")
    )
    thigh, shin = unit(knee - hip), unit(ankle - knee)
    flex, abduct = np.deg2rad([leg.flex, leg.abduct])
    direction = np.array(
        [sign * np.sin(abduct), -np.sin(flex) * np.cos(abduct), -np.cos(flex) * np.cos(abduct)]
    )
    # The thigh goes forward about x and only then sideways, so that the knee keeps facing ahead.
    forward = turn([1, 0, 0], -leg.flex)
    turned = swing(forward @ thigh, direction) @ forward @ turn(thigh, -sign * leg.twist)
    local[bones[f"upperleg01.{side}"]] = turned
    bend = turn([1, 0, 0], leg.knee - angle_between(thigh, shin))
    local[bones[f"lowerleg01.{side}"]] = bend
    local[bones[f"foot.{side}"]] = turn([1, 0, 0], leg.ankle)
    return turned @ bend


def _level_foot(shin: np.ndarray, limit_deg: float = 35.0) -> np.ndarray:
    """(3, 3) rotation of the ankle that makes the foot level, or comes near it."""
    ahead = shin @ np.array([0.0, -1.0, 0.0])
    if np.hypot(ahead[0], ahead[1]) < 0.2:
        return np.eye(3)
    yaw = turn([0, 0, 1], np.degrees(np.arctan2(ahead[0], -ahead[1])))
    wanted = shin.T @ yaw
    angle = np.degrees(np.arccos(np.clip((np.trace(wanted) - 1) / 2, -1, 1)))
    if angle < 1e-6:
        return np.eye(3)
    axis = np.array(
        [wanted[2, 1] - wanted[1, 2], wanted[0, 2] - wanted[2, 0], wanted[1, 0] - wanted[0, 1]]
    )
    return turn(axis, min(angle, limit_deg))
