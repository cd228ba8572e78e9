"""What people do in photographs, within the limits of their joints.

Each activity is one short function from a random generator to an `Activity`; arms are drawn apart
from the rest, because people stand and walk with their hands anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .anatomy import Arm, Leg, Pose

Generator = np.random.Generator


@dataclass(frozen=True)
class Activity:
    """A sampled pose and how it meets the ground.

    Attributes:
        name: of the activity.
        pose: the angles.
        support: "feet" (the lowest point touches the ground), "seat" (so, and something is sat on
            where the hips are above it) or "air" (above the ground).
    """

    name: str
    pose: Pose
    support: str = "feet"


def _around(rng: Generator, mean: float, spread: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, spread), low, high))


def _any_arm(rng: Generator) -> Arm:
    """An arm anywhere within reach."""
    azimuth = rng.uniform(-30, 120)
    highest = np.interp(azimuth, [-30, 0, 40, 90, 120], [0, 60, 85, 85, 50])
    share = rng.uniform(0, 1) ** 0.8
    return Arm(
        azimuth=azimuth,
        elevation=-88 + share * (highest + 88),
        twist=rng.uniform(-40, 65),
        elbow=_around(rng, 50, 50, 2, 145),
        pronation=rng.uniform(-70, 60),
        wrist=_around(rng, 5, 20, -50, 50),
        curl=_around(rng, 25, 25, 0, 80),
    )


def _hanging_arm(rng: Generator) -> Arm:
    return Arm(
        azimuth=rng.uniform(-10, 70),
        elevation=_around(rng, -78, 8, -87, -55),
        twist=rng.uniform(-15, 30),
        elbow=_around(rng, 20, 14, 2, 70),
        pronation=rng.uniform(-40, 40),
        wrist=_around(rng, 5, 10, -20, 30),
        curl=_around(rng, 28, 12, 5, 70),
    )


def _hand_on_hip(rng: Generator) -> Arm:
    return Arm(
        azimuth=rng.uniform(-25, 5),
        elevation=rng.uniform(-62, -45),
        twist=rng.uniform(52, 68),
        elbow=rng.uniform(88, 108),
        pronation=rng.uniform(-50, 0),
        wrist=rng.uniform(-40, 0),
    )


def _hand_at_face(rng: Generator) -> Arm:
    """Drinking, telephoning, holding a camera, rubbing an eye."""
    return Arm(
        azimuth=rng.uniform(55, 100),
        elevation=rng.uniform(-65, -15),
        twist=rng.uniform(-10, 30),
        elbow=rng.uniform(120, 145),
        pronation=rng.uniform(-40, 40),
        wrist=rng.uniform(-20, 30),
        curl=rng.uniform(20, 65),
    )


def _hand_in_front(rng: Generator) -> Arm:
    """Both hands at work before belly or chest: phones, plates, handlebars, ropes."""
    return Arm(
        azimuth=rng.uniform(35, 90),
        elevation=rng.uniform(-80, -45),
        twist=rng.uniform(10, 55),
        elbow=rng.uniform(60, 115),
        pronation=rng.uniform(-60, 30),
        wrist=rng.uniform(-20, 30),
        curl=rng.uniform(20, 70),
    )


def _raised_arm(rng: Generator) -> Arm:
    return Arm(
        azimuth=rng.uniform(0, 100),
        elevation=rng.uniform(15, 85),
        twist=rng.uniform(-45, 30),
        elbow=_around(rng, 40, 35, 2, 130),
        pronation=rng.uniform(-60, 60),
        curl=rng.uniform(5, 70),
    )


_ARMS: tuple[tuple[Callable[[Generator], Arm], float], ...] = (
    (_hanging_arm, 0.32),
    (_any_arm, 0.26),
    (_hand_in_front, 0.17),
    (_hand_on_hip, 0.06),
    (_hand_at_face, 0.1),
    (_raised_arm, 0.09),
)


def _arms(rng: Generator, both_alike: float = 0.4) -> tuple[Arm, Arm]:
    """Two arms; people often do the same with both."""
    makers, weights = zip(*_ARMS, strict=True)
    first = makers[rng.choice(len(makers), p=weights)]
    second = first if rng.random() < both_alike else makers[rng.choice(len(makers), p=weights)]
    return first(rng), second(rng)


def _trunk(rng: Generator, forward: float = 3.0, spread: float = 8.0) -> dict[str, Any]:
    return {
        "spine": (
            _around(rng, forward, spread, -25, 75),
            _around(rng, 0, 6, -28, 28),
            _around(rng, 0, 10, -38, 38),
        ),
        "head": (
            _around(rng, 8 - forward * 0.3, 14, -38, 45),
            _around(rng, 0, 8, -28, 28),
            _around(rng, 0, 24, -68, 68),
        ),
    }


def _swap(rng: Generator, one: Leg, other: Leg) -> tuple[Leg, Leg]:
    return (one, other) if rng.random() < 0.5 else (other, one)


def _stance_leg(rng: Generator) -> Leg:
    return Leg(
        flex=_around(rng, 2, 5, -10, 20),
        abduct=_around(rng, 5, 6, -4, 32),
        twist=_around(rng, 8, 8, -15, 35),
        knee=abs(_around(rng, 3, 5, -15, 25)),
    )


def stand_upright(rng: Generator) -> Activity:
    """Arms beside the body or a little away from it; what the easiest scenes are made of."""
    legs = (_stance_leg(rng), _stance_leg(rng))
    left, right = (_hanging_arm(rng) for _ in range(2))
    arms = (
        replace(left, elevation=left.elevation + rng.uniform(0, 45)),
        replace(right, elevation=right.elevation + rng.uniform(0, 45)),
    )
    trunk = _trunk(rng, 1.0, 3.0)
    return Activity("stand upright", Pose(arms=arms, legs=legs, **trunk))


def stand(rng: Generator) -> Activity:
    """Standing and doing something with the arms."""
    legs = (_stance_leg(rng), _stance_leg(rng))
    if rng.random() < 0.3:  # the weight on one leg
        free = replace(_stance_leg(rng), flex=rng.uniform(5, 30), knee=rng.uniform(10, 45))
        legs = _swap(rng, legs[0], free)
    pose = Pose(lean=_around(rng, 0, 3, -8, 8), arms=_arms(rng), legs=legs, **_trunk(rng))
    return Activity("stand", pose)


def stride(phase: float, vigour: float, rng: Generator) -> Pose:
    """One moment of walking (vigour 0) to running (vigour 1).

    Args:
        phase: 0..1 through a whole cycle, two steps.
        vigour: 0..1.
        rng: for the small differences between people; the same state gives the same gait.
    """
    swing_deg, bend = 26 + 18 * vigour, 42 + 62 * vigour
    turned = rng.uniform(0, 12)
    elbow = rng.uniform(10, 30) * (1 - vigour) + rng.uniform(75, 110) * vigour
    arm_swing = rng.uniform(18, 30) + 22 * vigour
    outward = rng.uniform(0, 6)
    legs, arms = [], []
    for half in (0.0, 0.5):
        angle = 2 * np.pi * (phase + half)
        legs.append(
            Leg(
                flex=swing_deg * np.cos(angle) + 6 + 12 * vigour,
                abduct=2 + outward / 2,
                twist=turned,
                knee=8 + 8 * vigour + bend * max(0.0, np.sin(angle - 0.35 + np.pi)) ** 1.3,
                ankle=18 * max(0.0, np.sin(angle + np.pi)),
            )
        )
        back = -arm_swing * np.cos(angle)
        arms.append(
            Arm(
                azimuth=90 if back > 0 else -90,
                elevation=-90 + abs(back) + outward,
                twist=10 + 25 * vigour,
                elbow=float(np.clip(elbow + 0.5 * back, 3, 140)),
                curl=20 + 40 * vigour,
            )
        )
    return Pose(
        lean=3 + 9 * vigour,
        spine=(2 + 3 * vigour, 0.0, 7 * np.cos(2 * np.pi * phase)),
        head=(0.0, 0.0, -5 * np.cos(2 * np.pi * phase)),
        arms=(arms[0], arms[1]),
        legs=(legs[0], legs[1]),
        flat_feet=False,
    )


def walk(rng: Generator) -> Activity:
    """Walking, sometimes with the hands at something else."""
    pose = stride(rng.random(), rng.uniform(0, 0.25), rng)
    trunk = _trunk(rng, 3, 4)
    pose = replace(pose, head=trunk["head"], spine=trunk["spine"])
    if rng.random() < 0.45:
        pose = replace(pose, arms=_arms(rng))
    return Activity("walk", pose)


def run(rng: Generator) -> Activity:
    """Running."""
    pose = stride(rng.random(), rng.uniform(0.6, 1.0), rng)
    if rng.random() < 0.3:
        pose = replace(pose, arms=_arms(rng))
    return Activity("run", pose, "air" if rng.random() < 0.3 else "feet")


def sit(rng: Generator) -> Activity:
    """On a chair, bench or wall."""

    def leg() -> Leg:
        return Leg(
            flex=_around(rng, 84, 8, 65, 105),
            abduct=_around(rng, 8, 9, -4, 38),
            twist=_around(rng, 4, 10, -20, 30),
            knee=_around(rng, 84, 20, 15, 125),
            ankle=_around(rng, 0, 8, -15, 30),
        )

    pose = Pose(
        lean=_around(rng, -4, 10, -28, 18),
        arms=_arms(rng),
        legs=(leg(), leg()),
        flat_feet=rng.random() < 0.6,
        **_trunk(rng, 10, 12),
    )
    return Activity("sit", pose, "seat")


def sit_low(rng: Generator) -> Activity:
    """On the ground: legs stretched, crossed or drawn up."""

    def leg() -> Leg:
        drawn = rng.random()
        return Leg(
            flex=85 + 35 * drawn,
            abduct=rng.uniform(2, 35),
            twist=rng.uniform(0, 40),
            knee=5 + 120 * drawn,
        )

    pose = Pose(
        lean=rng.uniform(-25, 5), arms=_arms(rng), legs=(leg(), leg()), **_trunk(rng, 18, 12)
    )
    return Activity("sit low", replace(pose, flat_feet=False))


def crouch(rng: Generator) -> Activity:
    """Knees bent, from a surfer's or skier's stance to a deep squat."""
    depth = rng.uniform(0.15, 1.0)

    def leg() -> Leg:
        near = float(np.clip(depth + rng.normal(0, 0.06), 0.05, 1))
        return Leg(
            flex=20 + 90 * near,
            abduct=_around(rng, 12, 8, 0, 40),
            twist=_around(rng, 10, 10, -10, 35),
            knee=25 + 110 * near,
        )

    lean = 5 + 22 * depth + rng.uniform(-8, 12)
    pose = Pose(lean=lean, arms=_arms(rng), legs=(leg(), leg()), **_trunk(rng, 15, 12))
    return Activity("crouch", pose)


def lunge(rng: Generator) -> Activity:
    """One leg far ahead: fencing, tennis, stretching; or one knee on the ground."""
    deep = rng.uniform(0.2, 1)
    ahead = Leg(flex=30 + 60 * deep, abduct=rng.uniform(0, 20), knee=25 + 65 * deep)
    behind = Leg(flex=-5 - 20 * deep, abduct=rng.uniform(0, 18), knee=10 + 80 * rng.random())
    pose = Pose(
        lean=rng.uniform(-5, 22),
        arms=_arms(rng, 0.2),
        legs=_swap(rng, ahead, behind),
        **_trunk(rng),
    )
    return Activity("lunge", pose)


def bend(rng: Generator) -> Activity:
    """Bent forward from the hips."""
    lean = rng.uniform(20, 65)

    def leg() -> Leg:
        return Leg(
            flex=lean + rng.uniform(-8, 8), abduct=rng.uniform(2, 16), knee=rng.uniform(2, 40)
        )

    pose = Pose(lean=lean, arms=_arms(rng, 0.6), legs=(leg(), leg()), **_trunk(rng, 25, 12))
    return Activity("bend", pose)


def leap(rng: Generator) -> Activity:
    """Jumping, kicking, diving for a ball."""

    def leg() -> Leg:
        return Leg(
            flex=_around(rng, 30, 35, -25, 115),
            abduct=_around(rng, 14, 14, -5, 55),
            twist=_around(rng, 6, 12, -25, 35),
            knee=_around(rng, 55, 40, 2, 140),
            ankle=rng.uniform(-15, 40),
        )

    pose = Pose(
        lean=_around(rng, 5, 18, -40, 50),
        roll=_around(rng, 0, 12, -40, 40),
        arms=_arms(rng, 0.3),
        legs=(leg(), leg()),
        flat_feet=False,
        **_trunk(rng, 6, 14),
    )
    return Activity("leap", pose, "air")


def lie(rng: Generator) -> Activity:
    """On the back, the belly or a side."""
    pose = Pose(
        lean=float(rng.choice([-90, 90])) + rng.normal(0, 8),
        roll=_around(rng, 0, 18, -50, 50),
        arms=_arms(rng),
        legs=(
            replace(_stance_leg(rng), flex=rng.uniform(-5, 60), knee=rng.uniform(0, 90)),
            replace(_stance_leg(rng), flex=rng.uniform(-5, 60), knee=rng.uniform(0, 90)),
        ),
        flat_feet=False,
        **_trunk(rng, 0, 8),
    )
    return Activity("lie", pose)
