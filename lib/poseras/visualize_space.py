"""Drawing of poses in space: from the front and the side as pictures, and as a page to turn.

Camera axes are x right, y down, z ahead. `front` looks as the camera does; `side` looks from the
camera's right, so that what lies nearer to the camera stands on the left. Both show the same length
with the same scale.

Pictures are (height, width, 3) uint8 RGB.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
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

    Poses stand on a floor under their lowest joint, its squares 250 mm wide, nearer limbs before
    farther ones. It is one file without anything from elsewhere, so it opens offline.

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
        "colours": skeleton.colours or [(120, 120, 120)] * len(skeleton.limbs),
        "root": skeleton.keypoints.index("pelvis") if "pelvis" in skeleton.keypoints else 0,
        "people": [{key: person[key] for key in keys if key in person} for person in people],
    }
    text = json.dumps(data, separators=(",", ":")).replace(".0]", "]").replace(".0,", ",")
    return _PAGE.substitute(
        title=html.escape(title),
        legend="".join(_legend(skeleton)),
        data=text.replace("</", "<\\/"),
    )


def _legend(skeleton: Skeleton) -> Iterator[str]:
    """A colour and its name for each side of the body whose limbs have one colour."""
    for side in ("left", "right"):
        colours = {
            colour
            for limb, colour in zip(skeleton.limbs, skeleton.colours, strict=False)
            if all(skeleton.keypoints[joint].startswith(f"{side}_") for joint in limb)
        }
        if len(colours) == 1:
            (red, green, blue) = colours.pop()
            yield f'<span><i style="background:rgb({red},{green},{blue})"></i>{side}</span>'


_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>$title</title><style>
:root{color-scheme:light dark;--paper:#fafaf8;--ink:#1d1d1b;--soft:#6d6d68;--line:#e2e2dc;
--truth:#b4b4ac;--edge:#fafaf8}
@media (prefers-color-scheme:dark){:root{--paper:#16171a;--ink:#ececea;--soft:#9a9a96;
--line:#2c2e33;--truth:#5d5f66;--edge:#16171a}}
*{box-sizing:border-box}
body{margin:0;height:100vh;display:flex;flex-direction:column;background:var(--paper);
color:var(--ink);font:14px/1.4 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header{display:flex;flex-wrap:wrap;gap:6px 20px;align-items:center;padding:10px 16px;
border-bottom:1px solid var(--line)}
h1{font-size:15px;font-weight:600;margin:0}
.group{display:flex;gap:6px;align-items:center}
#name{color:var(--soft);font-variant-numeric:tabular-nums}
button{font:inherit;color:inherit;background:none;border:1px solid var(--line);border-radius:6px;
padding:2px 9px;cursor:pointer}
button:hover{border-color:var(--soft)}
input[type=range]{width:180px}
canvas{flex:1;min-height:0;width:100%;cursor:grab;touch-action:none;display:block}
footer{display:flex;flex-wrap:wrap;gap:4px 16px;padding:8px 16px;color:var(--soft);font-size:12px}
footer i{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;
vertical-align:middle}
footer .hint{margin-left:auto}
</style></head><body>
<header><h1>$title</h1>
<div class="group"><button id="back" aria-label="previous person">‹</button>
<input id="person" type="range" min="0" value="0" aria-label="person">
<button id="next" aria-label="next person">›</button></div><span id="name"></span>
<div class="group"><button data-turn="0,0">front</button><button data-turn="-1.5708,0">side</button>
<button data-turn="0,1.5">above</button></div>
<label><input id="truth" type="checkbox" checked> truth</label></header>
<canvas id="view"></canvas>
<footer>$legend<span id="known"><i style="background:var(--truth)"></i>truth</span>
<span class="hint">drag to turn, wheel to magnify, arrow keys for the next person</span></footer>
<script>
const data = $data;
const find = id => document.getElementById(id);
const canvas = find("view"), slider = find("person"), truth = find("truth");
const start = {yaw: -0.6, pitch: 0.18, zoom: 1}, far = 6000, square = 250, reach = 1000;
let {yaw, pitch, zoom} = start, held = null;
slider.max = data.people.length - 1;
const centred = joints => {
  const root = joints && joints[data.root];
  return root ? joints.map(joint => joint && joint.map((v, axis) => v - root[axis])) : null;
};
const turn = ([x, y, z]) => {
  const across = x * Math.cos(yaw) - z * Math.sin(yaw);
  const ahead = x * Math.sin(yaw) + z * Math.cos(yaw);
  return [across, y * Math.cos(pitch) - ahead * Math.sin(pitch),
    y * Math.sin(pitch) + ahead * Math.cos(pitch)];
};
const place = joint => {
  const [x, y, z] = turn(joint), scale = zoom * Math.min(canvas.width, canvas.height) / 2300;
  const near = far / Math.max(far + z, 500);
  return [canvas.width / 2 + x * scale * near, canvas.height / 2 + y * scale * near, near];
};
const line = (context, from, to, colour, width) => {
  const [a, b] = [place(from), place(to)];
  context.strokeStyle = colour;
  context.lineWidth = width * devicePixelRatio * (a[2] + b[2]) / 2;
  context.beginPath();
  context.moveTo(a[0], a[1]);
  context.lineTo(b[0], b[1]);
  context.stroke();
};
const drawFloor = (context, poses, colour) => {
  const heights = poses.flatMap(pose => pose.filter(Boolean).map(joint => joint[1]));
  if (!heights.length) return;
  const floor = Math.max(...heights) + 40;
  for (let at = -reach; at <= reach; at += square) {
    line(context, [at, floor, -reach], [at, floor, reach], colour, 1);
    line(context, [-reach, floor, at], [reach, floor, at], colour, 1);
  }
};
const drawPose = (context, joints, edge, colour, width) => {
  const depth = ([a, b]) => turn(joints[a])[2] + turn(joints[b])[2];
  data.limbs.map((limb, number) => ({limb, number}))
    .filter(({limb: [a, b]}) => joints[a] && joints[b])
    .sort((one, other) => depth(other.limb) - depth(one.limb))
    .forEach(({limb: [a, b], number}) => {
      line(context, joints[a], joints[b], edge, width + 3);
      line(context, joints[a], joints[b], colour || `rgb($${data.colours[number]})`, width);
    });
};
const meanError = (found, known) => {
  const distances = found.flatMap((joint, number) => joint && known[number]
    ? [Math.hypot(...joint.map((v, axis) => v - known[number][axis]))] : []);
  return distances.reduce((sum, v) => sum + v, 0) / distances.length;
};
const draw = () => {
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  const context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const person = data.people[slider.value];
  const found = centred(person.joints_camera_mm), known = centred(person.joints_true_mm);
  const parts = [`$${+slider.value + 1} of $${data.people.length}`, `image $${person.image_id}`];
  if (found && known) parts.push(`mean joint error $${meanError(found, known).toFixed(0)} mm`);
  find("name").textContent = parts.join(", ");
  find("known").hidden = !known || !truth.checked;
  context.lineCap = "round";
  const [edge, grey, grid] = ["--edge", "--truth", "--line"].map(n => style.getPropertyValue(n));
  drawFloor(context, [found, known].filter(Boolean), grid);
  if (known && truth.checked) drawPose(context, known, edge, grey, 8);
  if (found) drawPose(context, found, edge, null, 5);
};
const leaf = step => { slider.value = +slider.value + step; draw(); };
canvas.onpointerdown = event => { held = event; canvas.setPointerCapture(event.pointerId); };
canvas.onpointerup = canvas.onpointercancel = () => { held = null; };
canvas.onpointermove = event => {
  if (!held) return;
  yaw += (event.clientX - held.clientX) / 150;
  pitch = Math.max(-1.5, Math.min(1.5, pitch + (event.clientY - held.clientY) / 150));
  held = event;
  draw();
};
canvas.ondblclick = () => { ({yaw, pitch, zoom} = start); draw(); };
canvas.addEventListener("wheel", event => {
  zoom = Math.max(0.3, Math.min(8, zoom * Math.exp(-event.deltaY / 800)));
  event.preventDefault();
  draw();
}, {passive: false});
document.querySelectorAll("[data-turn]").forEach(button => {
  button.onclick = () => { [yaw, pitch] = button.dataset.turn.split(",").map(Number); draw(); };
});
find("back").onclick = () => leaf(-1);
find("next").onclick = () => leaf(1);
slider.oninput = truth.onchange = window.onresize = draw;
window.onkeydown = event => {
  if (event.target !== slider) leaf((event.key === "ArrowRight") - (event.key === "ArrowLeft"));
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
</script></body></html>
""")
