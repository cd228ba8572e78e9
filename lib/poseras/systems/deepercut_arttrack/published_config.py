"""pose-tensorflow's `pose_cfg.yaml` in our settings.

`FIELDS` lists every key that the original knows with its default, `OTHERS` those without one. A key
that it never reads, or that means nothing or something else here, is named in a note; a key that it
does not know is an error here, while the original takes it silently.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from .published_graph import list_graph, translate_graph

#: Of each joint that are considered; the original has no limit. Suppression leaves 260 in a map of
#: noise of 850 x 850 px, and one of each person in a picture.
CANDIDATES = 128

#: The defaults of the original's `default_config.py`.
FIELDS: dict[str, Any] = {
    "stride": 8.0,
    "weigh_part_predictions": False,
    "weigh_negatives": False,
    "fg_fraction": 0.25,
    "weigh_only_present_joints": False,
    "mean_pixel": [123.68, 116.779, 103.939],
    "shuffle": True,
    "snapshot_prefix": "snapshot",
    "log_dir": "log",
    "global_scale": 1.0,
    "location_refinement": False,
    "locref_stdev": 7.2801,
    "locref_loss_weight": 1.0,
    "locref_huber_loss": True,
    "optimizer": "sgd",
    "intermediate_supervision": False,
    "intermediate_supervision_layer": 12,
    "regularize": False,
    "weight_decay": 0.0001,
    "mirror": False,
    "crop": False,
    "crop_pad": 0,
    "scoremap_dir": "test",
    "dataset": "",
    "dataset_type": "default",
    "use_gt_segm": False,
    "batch_size": 1,
    "video": False,
    "video_batch": False,
    "sparse_graph": [],
    "pairwise_stats_collect": False,
    "pairwise_stats_fn": "pairwise_stats.mat",
    "pairwise_predict": False,
    "pairwise_huber_loss": True,
    "pairwise_loss_weight": 1.0,
    "tensorflow_pairwise_order": True,
}
#: Keys that the original has no default for.
OTHERS = (
    *("num_joints", "all_joints", "all_joints_names", "net_type", "init_weights"),
    *("pos_dist_thresh", "multi_step", "display_iters", "save_iters", "max_input_size"),
    *("scale_jitter_lo", "scale_jitter_up", "adam_lr", "dataset_phase", "dataset_ann"),
    *("coco_only_images_with_people", "nms_radius", "det_min_score", "pairwise_model_dir"),
    *("pck_threshold", "cached_scoremaps", "scmap_threshold"),
)
#: Key -> why a file's value of it changes nothing.
_WITHOUT_EFFECT = {
    "weigh_negatives": "the original never reads it",
    "fg_fraction": "the original never reads it",
    "regularize": "the original never reads it",
    "scmap_threshold": "the original never reads it",
    "weight_decay": "the original never adds it to the loss",
    "snapshot_prefix": "snapshots go to output/model_dump/",
    "log_dir": "logs go to output/log/",
    "scoremap_dir": "maps are not kept on the disk",
    "cached_scoremaps": "maps are not kept on the disk",
    "save_iters": "a snapshot is written after every epoch and every train.snapshot_minutes",
    "pck_threshold": "PCK is given for several thresholds",
    "coco_only_images_with_people": "pictures without people are not learned from",
    "use_gt_segm": "test.true_masks=true reads people inside their masks",
    "pairwise_stats_collect": "tool/pairwise_stats.py computes the statistics",
    "all_joints_names": "the skeleton has the names",
    "crop_pad": "crops are not read",
}
#: Key -> what it does here, where that is something else.
_OTHER_EFFECT = {
    "max_input_size": "in training larger pictures are shrunk to this size squared, not left out; "
    "testing has no limit",
    "num_joints": "the skeleton must have so many",
    "all_joints": "the skeleton has the mirrored pairs, which must be these",
}
#: Values that the original offers and this project does not, by key: those that are possible.
_POSSIBLE: dict[str, tuple[Any, ...]] = {
    "stride": (8, 8.0),
    "shuffle": (True, False),
    "optimizer": ("sgd", "adam"),
    "crop": (False,),
    "dataset_type": ("default", "mpii", "coco", "penn_action"),
    "video": (False,),
    "video_batch": (False,),
    "tensorflow_pairwise_order": (True,),
    "net_type": ("resnet_50", "resnet_101"),
}
#: dataset_type -> keypoint set, and what a mirrored joint's x is moved by.
_JOINT_SETS = {
    "mpii": ("MPII/mpii_14", 0.0),
    "coco": ("COCO", -1.0),
    "penn_action": ("PennAction", 1.0),
    "default": ("", -1.0),
}
#: The ends of the scales that training pictures are resized by.
_JITTER = ("scale_jitter_lo", "scale_jitter_up")
#: dataset_type default: number of joints -> keypoint set. Others are the user's own.
_USUAL_SETS = {14: "MPII/mpii_14", 17: "COCO"}


@dataclass(frozen=True)
class Translation:
    """A file in our settings.

    Attributes:
        network: `resnet_101`.
        differences: flat settings.
        notes: one line for each key of the file that has no effect, or another one.
    """

    network: str
    differences: dict[str, Any]
    notes: tuple[str, ...]


def recognise(raw: Any) -> bool:
    """Whether a YAML is a `pose_cfg.yaml`: it names a network and how it finds joints."""
    told = {"init_weights", "dataset"}
    return isinstance(raw, dict) and "net_type" in raw and not told.isdisjoint(raw)


def translate(raw: Mapping[str, Any]) -> Translation:
    """All that a file says, and all that it leaves to the original's defaults, in our settings.

    Raises:
        ValueError: a key that the original does not know, or a value that is not possible here.
    """
    known = (*FIELDS, *OTHERS)
    for key in raw:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean {nearest[0]}?" if nearest else f"Known: {', '.join(known)}."
            raise ValueError(f"unknown key {key}. {hint}")
    values = {**FIELDS, **raw}
    for key, possible in _POSSIBLE.items():
        if key in values and values[key] not in possible:
            raise ValueError(
                f"{key} must be one of {', '.join(map(repr, possible))} here. "
                f"Received {values[key]!r}."
            )
    notes = tuple(
        f"{key}: {value!r} has no effect: {_WITHOUT_EFFECT[key]}."
        for key, value in raw.items()
        if key in _WITHOUT_EFFECT
    )
    notes += tuple(
        f"{key}: {value!r} has another effect: {_OTHER_EFFECT[key]}."
        for key, value in raw.items()
        if key in _OTHER_EFFECT
    )
    notes += _explain_conditions(values)
    differences = {**_network(values), **_view(values), **_data(values), **_training(values)}
    return Translation(str(values["net_type"]), differences, notes)


def _explain_conditions(values: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each key whose effect depends on other keys of the file."""
    notes = []
    if values["weigh_only_present_joints"] and not _weighs_present_joints(values):
        notes.append(
            "weigh_only_present_joints: True has no effect: the original reads it together with "
            "weigh_part_predictions, and never for COCO."
        )
    if not values["shuffle"]:
        notes.append(
            "shuffle: False has no effect: training pictures are always shuffled, and a test takes "
            "them in the order of their ids."
        )
    ends = [key for key in _JITTER if key in values]
    if len(ends) == 1:
        notes.append(
            f"{ends[0]}: {values[ends[0]]!r} has no effect: the original varies the scale where "
            "both ends are given."
        )
    _, ignored = list_graph(values["sparse_graph"])
    if ignored:
        notes.append(
            f"sparse_graph: {', '.join(map(str, ignored))} have no effect: the original compares "
            "pairs whose smaller joint stands first, and candidates of one joint anyway."
        )
    if values["pairwise_predict"]:
        notes.append(
            f"pairwise_predict: True has another effect: at most {CANDIDATES} candidates of a "
            "joint are considered, of which the original has no limit; options.candidates sets it."
        )
    count = _count_joints(values)
    if values["dataset_type"] == "default" and count not in _USUAL_SETS:
        notes.append(
            f"dataset_type: default with {count or 'an untold number of'} joints is a data set of "
            "yours: --set data.trainset=NAME data.testset=NAME names it, data/NAME/dataset.yaml "
            "its joints."
        )
    return tuple(notes)


def _weighs_present_joints(values: Mapping[str, Any]) -> bool:
    weighs = values["weigh_part_predictions"] and values["weigh_only_present_joints"]
    return bool(weighs) and values["dataset_type"] != "coco"


def _count_joints(values: Mapping[str, Any]) -> int:
    """`num_joints`, or the joints of `all_joints`; 0 if the file tells neither.

    Raises:
        ValueError: they contradict each other, or `all_joints` is no list of joints and pairs.
    """
    groups, count = values.get("all_joints") or [], int(_number(values, "num_joints", 0))
    listed = isinstance(groups, list) and all(
        isinstance(group, list) and len(group) in (1, 2) for group in groups
    )
    joints = [joint for group in groups for joint in group] if listed else []
    told = count or len(joints)
    complete = len(joints) == told and all(joint in joints for joint in range(told))
    if groups and not (listed and complete):
        raise ValueError(
            "all_joints must be a list of single joints [0] and mirrored pairs [1, 2] that holds "
            f"each of num_joints once, from 0 on. Received {groups!r} with num_joints {told}."
        )
    return told


def _network(values: Mapping[str, Any]) -> dict[str, Any]:
    options = {
        "depth": int(str(values["net_type"]).removeprefix("resnet_")),
        "pixel_mean": _read_mean(values),
        "location_refinement": values["location_refinement"],
        "refinement_deviation": _number(values, "locref_stdev"),
        "refinement_weight": _number(values, "locref_loss_weight"),
        "huber": values["locref_huber_loss"],
        "intermediate_supervision": values["intermediate_supervision"],
        "part_weights": "present" if _weighs_present_joints(values) else "all",
        "use_ignore_mask": values["weigh_part_predictions"] and values["dataset_type"] == "coco",
        "pairwise": values["pairwise_predict"],
        "pairwise_weight": _number(values, "pairwise_loss_weight"),
        "sparse_graph": translate_graph(values["sparse_graph"], values["dataset_type"]),
        "joint_count": _count_joints(values),
        "joint_groups": values.get("all_joints") or [],
    }
    if values["intermediate_supervision"]:
        options["intermediate_unit"] = _whole(values, "intermediate_supervision_layer")
    if values["pairwise_predict"]:
        options["pairwise_huber"] = values["pairwise_huber_loss"]
        options["pairwise_statistics"] = values["pairwise_stats_fn"]
        options["pairwise_models"] = values.get("pairwise_model_dir", "")
        options["statistics_scale"] = _number(values, "global_scale")
        options["candidates"] = CANDIDATES
    for ours, theirs in (
        ("part_radius", "pos_dist_thresh"),
        ("nms_radius", "nms_radius"),
        ("det_min_score", "det_min_score"),
    ):
        if theirs in values:
            options[ours] = _number(values, theirs)
    return {f"options.{name}": value for name, value in options.items()}


def _read_mean(values: Mapping[str, Any]) -> list[float]:
    mean = values["mean_pixel"]
    if not isinstance(mean, list) or len(mean) != 3:
        raise ValueError(f"mean_pixel must be three numbers, of red, green and blue; not {mean!r}.")
    return [_number({"mean_pixel": part}, "mean_pixel") for part in mean]


def _view(values: Mapping[str, Any]) -> dict[str, Any]:
    """Pictures at the file's scale, unpadded, as the original looks at them."""
    scale = _number(values, "global_scale")
    jitters = all(end in values for end in _JITTER)
    jitter = [scale * _number(values, end) if jitters else scale for end in _JITTER]
    _, offset = _JOINT_SETS[values["dataset_type"]]
    laws = {
        "scale": jitter,
        "flip_probability": 0.5 if values["mirror"] else 0.0,
        "mirror_offset_px": offset,
        "max_area_px": _number(values, "max_input_size", 0.0) ** 2,
    }
    return {
        "view.factor": scale,
        "view.stride": 1,
        **{f"view.picture_augmentation.{name}": value for name, value in laws.items()},
    }


def _data(values: Mapping[str, Any]) -> dict[str, Any]:
    """Which joints, and the files of a data set root or a `.mat` file.

    Of joints that are no data set's here, nothing is told: the user must name the data set.
    """
    skeleton, _ = _JOINT_SETS[values["dataset_type"]]
    skeleton = skeleton or _USUAL_SETS.get(_count_joints(values), "")
    name = skeleton.partition("/")[0]
    differences: dict[str, Any] = {"data.small_area": 0, "data.skeleton": skeleton}
    differences |= {"data.trainset": [name] if name else [], "data.testset": name}
    path = str(values["dataset"] or "")
    if path and values["dataset_type"] == "coco":
        phase = str(values.get("dataset_phase", "train2014"))
        name = f"{values.get('dataset_ann', 'person_keypoints')}_{phase}.json"
        annotations = str(PurePath(path, "annotations", name))
        images = str(PurePath(path, "images", phase))
    else:
        annotations, images = path, ""
    for group in ("data", "test"):
        differences |= {f"{group}.annotations": annotations, f"{group}.images": images}
    return differences


def _training(values: Mapping[str, Any]) -> dict[str, Any]:
    weights = str(values.get("init_weights") or "none")
    trained = weights != "none" and not PurePath(weights).name.startswith("resnet_v1")
    differences: dict[str, Any] = {
        "train.batch_size": _whole(values, "batch_size"),
        "train.weight_decay": 0,
        "train.initial_weights": weights,
        "test.model_file": weights if trained else "",
        "test.batch_size": 1,
        "test.flip_test": False,
    }
    if "display_iters" in values:
        differences["train.log_every"] = _whole(values, "display_iters")
    rates, limits = _read_steps(values)
    if rates:
        differences |= {
            "train.learning_rate": rates[0],
            "train.decay_steps": [limit + 1 for limit in limits[:-1]],
            "train.decay_factors": [rate / rates[0] for rate in rates[1:]],
            "train.total_steps": limits[-1] + 1,
        }
    if values["optimizer"] == "sgd":
        return {**differences, "train.optimizer": "momentum"}
    constant: dict[str, list[int]] = {"decay_steps": [], "decay_epochs": [], "decay_factors": []}
    adam = {"optimizer": "adam", "learning_rate": _number(values, "adam_lr", 1e-4), **constant}
    return {**differences, **{f"train.{name}": value for name, value in adam.items()}}


def _read_steps(values: Mapping[str, Any]) -> tuple[list[float], list[int]]:
    """The learning rates of `multi_step`, and the last iteration of each."""
    steps = values.get("multi_step", [])
    try:
        rates = [float(rate) for rate, _ in steps]
        limits = [int(float(limit)) for _, limit in steps]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            "multi_step must be a list of pairs, a learning rate and its last iteration. "
            f"Received {steps!r}."
        ) from None
    if not all(rate > 0 for rate in rates) or limits != sorted({*limits}):
        raise ValueError(
            "multi_step must have learning rates above 0, and iterations that rise. "
            f"Received {steps!r}."
        )
    return rates, limits


def _number(values: Mapping[str, Any], key: str, usual: float | None = None) -> float:
    """A number of the file; YAML takes 1e-4, without a point, for a text."""
    value = values.get(key, usual)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{key} must be a number. Received {value!r}.") from None


def _whole(values: Mapping[str, Any], key: str) -> int:
    number = _number(values, key)
    if not number.is_integer():
        raise ValueError(f"{key} must be a whole number. Received {values[key]!r}.")
    return int(number)
