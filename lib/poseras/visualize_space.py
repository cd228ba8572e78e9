"""Drawing of poses in space: from the front and the side as pictures, and as a page to turn.

Camera axes are x right, y down, z ahead. `front` looks as the camera does; `side` looks from the
camera's right, so that what lies nearer to the camera stands on the left. Both show the same length
with the same scale.

Pictures are (height, width, 3) uint8 RGB.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

import numpy as np

from .skeleton import Skeleton
from .structures import People
from .visualize import contact_sheet, draw_people

_GROUND = (250, 250, 248)
_TRUTH = (196, 196, 190)
_MARGIN = 0.12
#: The axes of each view: what goes right and what goes down.
_VIEWS = ((0, 1), (2, 1))


def draw_pose_views(
    pose_mm: np.ndarray,
    skeleton: Skeleton,
    *,
    height: int = 400,
    truth_mm: np.ndarray | None = None,
) -> np.ndarray:
    """A pose from the front and from the side, and in grey behind it the truth.

    Args:
        pose_mm: (joints, 3) in camera space; joints that are not finite are left out.
        skeleton: of the pose.
        height: of the picture in pixels.
        truth_mm: (joints, 3), moved to the root of the pose.

    Returns:
        (height, about height, 3), two views beside each other.

    Raises:
        ValueError: a pose of another number of joints.
    """
    poses = [np.asarray(pose_mm, float)]
    if truth_mm is not None:
        poses.append(_move_to(np.asarray(truth_mm, float), poses[0], skeleton))
    for pose in poses:
        if pose.shape != (skeleton.joint_count, 3):
            raise ValueError(
                f"A pose of {skeleton.name} must have shape ({skeleton.joint_count}, 3). "
                f"Received {pose.shape}."
            )
    width = height // 2
    centre, scale = _fit(poses, width, height)
    grey = Skeleton.from_dict({**skeleton.to_dict(), "colours": [_TRUTH] * len(skeleton.limbs)})
    views = []
    for axes in _VIEWS:
        picture = np.full((height, width, 3), _GROUND, np.uint8)
        for pose, drawn_as in reversed(list(zip(poses, (skeleton, grey), strict=False))):
            points = (pose - centre)[:, axes] * scale + [width / 2, height / 2]
            picture = draw_people(picture, _as_people(points), drawn_as)
        views.append(picture)
    return contact_sheet(views, columns=2)


def _as_people(points_px: np.ndarray) -> People:
    scores = np.isfinite(points_px).all(axis=-1).astype(float)
    return People(points_px[None], scores[None], np.ones(1))


def _move_to(truth: np.ndarray, pose: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The truth at the root of the pose; at the mean of its joints where there is no pelvis."""
    root = skeleton.keypoints.index("pelvis") if "pelvis" in skeleton.keypoints else slice(None)
    places = [np.nanmean(np.reshape(joints[root], (-1, 3)), axis=0) for joints in (truth, pose)]
    return truth - places[0] + places[1]


def _fit(poses: Sequence[np.ndarray], width: int, height: int) -> tuple[np.ndarray, float]:
    """The middle of all poses in mm, and the pixels per mm at which both views hold them."""
    joints = np.concatenate(poses)
    joints = joints[np.isfinite(joints).all(axis=1)]
    if not len(joints):
        return np.zeros(3), 1.0
    low, high = joints.min(axis=0), joints.max(axis=0)
    across = max(high[0] - low[0], high[2] - low[2], 1.0)
    scale = (1 - 2 * _MARGIN) * min(width / across, height / max(high[1] - low[1], 1.0))
    return (low + high) / 2, float(scale)


def write_pose_page(
    people: Sequence[Mapping[str, Any]], skeleton: Skeleton, *, title: str = "Poses in space"
) -> str:
    """A web page on which poses can be leafed through, turned by the mouse and magnified.

    It is one file without anything from elsewhere, so it opens offline.

    Args:
        people: `image_id`, `joints_camera_mm` and, if known, `joints_true_mm`, joints of
            [x, y, z] or None, as `poses_3d.json` holds them.
        skeleton: of the poses.
        title: of the page.

    Returns:
        The HTML text.

    Raises:
        ValueError: there is nobody.
    """
    if not people:
        raise ValueError("A page of poses needs at least one pose. Received none.")
    keys = ("image_id", "joints_camera_mm", "joints_true_mm")
    data = {
        "limbs": skeleton.limbs,
        "colours": skeleton.colours or [(40, 40, 40)] * len(skeleton.limbs),
        "root": skeleton.keypoints.index("pelvis") if "pelvis" in skeleton.keypoints else 0,
        "people": [{key: person[key] for key in keys if key in person} for person in people],
    }
    text = json.dumps(data, separators=(",", ":")).replace(".0]", "]").replace(".0,", ",")
    return _PAGE.substitute(title=html.escape(title), data=text.replace("</", "<\\/"))


_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title><style>
body{margin:0;font:15px sans-serif;background:#fafaf8;color:#222;display:flex;flex-direction:column;
height:100vh}header{padding:8px 12px;display:flex;gap:12px;align-items:center;flex-wrap:wrap}
canvas{flex:1;min-height:0;width:100%;cursor:grab}input[type=range]{width:240px}
</style></head><body><header><b>$title</b>
<label>person <input id="person" type="range" min="0" value="0"></label><span id="name"></span>
<label><input id="truth" type="checkbox" checked> truth in grey</label>
<span>drag to turn, wheel to magnify, arrow keys for the next person</span></header>
<canvas id="view"></canvas><script>
const data = $data;
const canvas = document.getElementById("view"), slider = document.getElementById("person");
const truth = document.getElementById("truth"), label = document.getElementById("name");
let yaw = 0.5, pitch = 0.15, zoom = 1, held = null;
slider.max = data.people.length - 1;
const centred = joints => {
  const root = joints && joints[data.root];
  return root ? joints.map(j => j && j.map((v, axis) => v - root[axis])) : null;
};
const project = (joint, scale) => {
  const x = joint[0] * Math.cos(yaw) - joint[2] * Math.sin(yaw);
  const z = joint[0] * Math.sin(yaw) + joint[2] * Math.cos(yaw);
  const y = joint[1] * Math.cos(pitch) + z * Math.sin(pitch);
  return [canvas.width / 2 + x * scale, canvas.height / 2 + y * scale];
};
const drawPose = (context, joints, colour, width) => {
  if (!joints) return;
  const scale = zoom * Math.min(canvas.width, canvas.height) / 2400;
  context.lineWidth = width;
  context.lineCap = "round";
  data.limbs.forEach(([a, b], limb) => {
    if (!joints[a] || !joints[b]) return;
    context.strokeStyle = colour || `rgb($${data.colours[limb].join(",")})`;
    context.beginPath();
    context.moveTo(...project(joints[a], scale));
    context.lineTo(...project(joints[b], scale));
    context.stroke();
  });
};
const draw = () => {
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  const context = canvas.getContext("2d"), person = data.people[slider.value];
  label.textContent = `$${+slider.value + 1} of $${data.people.length}, image $${person.image_id}`;
  if (truth.checked) drawPose(context, centred(person.joints_true_mm), "#b8b8b0", 9);
  drawPose(context, centred(person.joints_camera_mm), null, 5);
};
canvas.onpointerdown = event => { held = event; canvas.setPointerCapture(event.pointerId); };
canvas.onpointerup = () => { held = null; };
canvas.onpointermove = event => {
  if (!held) return;
  yaw += (event.clientX - held.clientX) / 150;
  pitch += (event.clientY - held.clientY) / 150;
  held = event;
  draw();
};
canvas.onwheel = event => {
  zoom *= Math.exp(-event.deltaY / 800);
  event.preventDefault();
  draw();
};
slider.oninput = truth.onchange = window.onresize = draw;
window.onkeydown = event => {
  if (event.target === slider) return;
  slider.value = +slider.value + (event.key === "ArrowRight") - (event.key === "ArrowLeft");
  draw();
};
draw();
</script></body></html>
""")
