"""Short clips of moving people: the same people, clothes, things and light in every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .activities import Activity, bend, crouch, lunge, stand, stride
from .anatomy import Pose, apply_pose, interpolate_poses
from .assets import BodyAssets
from .body import blend_shape
from .camera import Camera
from .person import Figure, PlacedPerson, make_figure, pose_figure, sample_phenotype
from .poses import sample_pose
from .rotations import turn
from .scene import SIZE_HW, Scene, Staging, draw_scene
from .shading import sample_lighting
from .staging import DIFFICULTIES, Difficulty, make_things, set_stage

Generator = np.random.Generator

FRAMES_PER_SECOND = 25
_ON_THE_SPOT: Mapping[Callable[[Generator], Activity], float] = {
    stand: 0.7,
    crouch: 0.1,
    lunge: 0.1,
    bend: 0.1,
}


@dataclass(frozen=True, eq=False)
class Mover:
    """One person of a clip.

    Attributes:
        figure: dressed body.
        start: (2,) metres.
        yaw_deg: heading at the first frame.
        turn_deg: per second.
        speed_m: per second; 0 for somebody who moves on the spot.
        vigour: of the gait, 0 walking to 1 running.
        phase: of the gait at the first frame.
        gait_seed: the small habits of the gait.
        poses: of somebody on the spot, one every `hold` seconds.
        hold: seconds from one of them to the next.
    """

    figure: Figure
    start: np.ndarray
    yaw_deg: float
    turn_deg: float
    speed_m: float
    vigour: float
    phase: float
    gait_seed: int
    poses: tuple[Pose, ...]
    hold: float


def make_clip(
    assets: BodyAssets,
    *,
    seed: int,
    index: int,
    frames: int,
    difficulty: Difficulty = "standard",
    backgrounds: Sequence[Path] = (),
    size_hw: tuple[int, int] = SIZE_HW,
) -> Iterator[Scene]:
    """The frames of a clip, 25 a second; `PersonTruth.track` is the same in all of them.

    Args:
        assets: of the body.
        seed: of the whole set.
        index: of the clip.
        frames: how many.
        difficulty: how many people, how near; see `scene.make_scene`.
        backgrounds: photographs; one stays behind the whole clip.
        size_hw: of the pictures, px.
    """
    words = (seed, index, DIFFICULTIES.index(difficulty), 7)
    rng = np.random.default_rng(words)
    stage = set_stage(rng, difficulty, size_hw)
    movers = [
        _make_mover(assets, rng, place, float(yaw), frames / FRAMES_PER_SECOND)
        for place, yaw in zip(stage.places, stage.yaws_deg, strict=True)
    ]
    things = tuple(make_things(rng, difficulty, stage))
    lighting, pan = sample_lighting(rng), float(rng.normal(0, 3))
    for frame in range(frames):
        seconds = frame / FRAMES_PER_SECOND
        people = tuple(_move(assets, mover, seconds) for mover in movers)
        camera = _pan(stage.camera, pan * seconds)
        staging = Staging(people, things, camera, lighting, difficulty, (*words, 1))
        yield draw_scene(staging, backgrounds=backgrounds, frame=frame)


def _make_mover(
    assets: BodyAssets, rng: Generator, place: np.ndarray, yaw_deg: float, seconds: float
) -> Mover:
    phenotype = sample_phenotype(rng)
    shape = blend_shape(assets, phenotype)
    walks = rng.random() < 0.6
    vigour = float(rng.choice([rng.uniform(0, 0.25), rng.uniform(0.6, 1)], p=[0.75, 0.25]))
    hold = float(rng.uniform(0.5, 1.2))
    count = 0 if walks else int(seconds / hold) + 2
    poses = [sample_pose(rng, assets, shape, _ON_THE_SPOT)[0].pose for _ in range(count)]
    speed = (1.1 + 2.6 * vigour) * float(shape.vertices[:, 2].max() - shape.vertices[:, 2].min())
    return Mover(
        figure=make_figure(assets, rng, phenotype, shape),
        start=place,
        yaw_deg=yaw_deg,
        turn_deg=float(rng.normal(0, 12)),
        speed_m=speed / 1.7 if walks else 0.0,
        vigour=vigour,
        phase=float(rng.random()),
        gait_seed=int(rng.integers(2**31)),
        poses=tuple(replace(pose, flat_feet=True) for pose in poses),
        hold=hold,
    )


def _move(assets: BodyAssets, mover: Mover, seconds: float) -> PlacedPerson:
    yaw = mover.yaw_deg + mover.turn_deg * seconds
    if mover.speed_m > 0:
        steps = (0.9 + 0.45 * mover.vigour) * seconds  # whole cycles of two steps
        habits = np.random.default_rng(mover.gait_seed)
        pose, name = stride(mover.phase + steps, mover.vigour, habits), "walk"
    else:
        place = seconds / mover.hold
        first = min(int(place), len(mover.poses) - 2)
        share = float(np.clip(place - first, 0, 1))
        smooth = share * share * (3 - 2 * share)
        pose = interpolate_poses(mover.poses[first], mover.poses[first + 1], smooth)
        name = "stand"
    middle = np.deg2rad(mover.yaw_deg + mover.turn_deg * seconds / 2)
    ahead = np.array([np.sin(middle), -np.cos(middle)])
    return pose_figure(
        assets,
        mover.figure,
        apply_pose(assets, mover.figure.shape, pose),
        yaw_deg=yaw,
        place=mover.start + ahead * mover.speed_m * seconds,
        activity=name,
    )


def _pan(camera: Camera, degrees: float) -> Camera:
    """The camera turned about the vertical."""
    turned = camera.rotation @ turn([0, 0, 1], -degrees)
    return Camera(turned, camera.position, camera.focal_px, camera.size_hw)
