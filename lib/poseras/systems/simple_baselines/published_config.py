"""Experiment files of Microsoft's human-pose-estimation.pytorch, and of HSRNet, in our settings.

HSRNet's code is Microsoft's with two more networks. `FIELDS` lists every field with the default of
Microsoft's `core/config.py`. A field that its code never reads, or that has no meaning here, is
named in a note; a field that it does not know is an error, as it is there.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .conventions import CONVENTIONS

_MODEL_EXTRA = {
    "TARGET_TYPE": "gaussian",
    "HEATMAP_SIZE": [64, 64],
    "SIGMA": 2,
    "FINAL_CONV_KERNEL": 1,
    "DECONV_WITH_BIAS": False,
    "NUM_DECONV_LAYERS": 3,
    "NUM_DECONV_FILTERS": [256, 256, 256],
    "NUM_DECONV_KERNELS": [4, 4, 4],
    "NUM_LAYERS": 50,
}
FIELDS: dict[str, Any] = {
    "GPUS": "0",
    "WORKERS": 4,
    "PRINT_FREQ": 20,
    "DATA_DIR": "",
    "OUTPUT_DIR": "",
    "LOG_DIR": "",
    "CUDNN": {"BENCHMARK": True, "DETERMINISTIC": False, "ENABLED": True},
    "MODEL": {
        "NAME": "pose_resnet",
        "INIT_WEIGHTS": True,
        "PRETRAINED": "",
        "NUM_JOINTS": 16,
        "IMAGE_SIZE": [256, 256],
        "STYLE": "pytorch",
        "EXTRA": _MODEL_EXTRA,
    },
    "LOSS": {"USE_TARGET_WEIGHT": True},
    "DATASET": {
        "ROOT": "",
        "DATASET": "mpii",
        "TRAIN_SET": "train",
        "TEST_SET": "valid",
        "DATA_FORMAT": "jpg",
        "HYBRID_JOINTS_TYPE": "",
        "SELECT_DATA": False,
        "FLIP": True,
        "SCALE_FACTOR": 0.25,
        "ROT_FACTOR": 30,
    },
    "TRAIN": {
        "LR_FACTOR": 0.1,
        "LR_STEP": [90, 110],
        "LR": 0.001,
        "OPTIMIZER": "adam",
        "MOMENTUM": 0.9,
        "WD": 0.0001,
        "NESTEROV": False,
        "GAMMA1": 0.99,
        "GAMMA2": 0.0,
        "BEGIN_EPOCH": 0,
        "END_EPOCH": 140,
        "RESUME": False,
        "CHECKPOINT": "",
        "BATCH_SIZE": 32,
        "SHUFFLE": True,
    },
    "TEST": {
        "BATCH_SIZE": 32,
        "FLIP_TEST": False,
        "POST_PROCESS": True,
        "SHIFT_HEATMAP": True,
        "USE_GT_BBOX": False,
        "OKS_THRE": 0.5,
        "IN_VIS_THRE": 0.0,
        "COCO_BBOX_FILE": "",
        "BBOX_THRE": 1.0,
        "IMAGE_THRE": 0.0,
        "NMS_THRE": 1.0,
        "MODEL_FILE": "",
    },
    "DEBUG": {
        "DEBUG": False,
        "SAVE_BATCH_IMAGES_GT": False,
        "SAVE_BATCH_IMAGES_PRED": False,
        "SAVE_HEATMAPS_GT": False,
        "SAVE_HEATMAPS_PRED": False,
    },
}
#: Field or group -> why a file's value of it changes nothing.
_WITHOUT_EFFECT = {
    "GPUS": "--gpu chooses the devices",
    "WORKERS": "data.workers is one thread for each core",
    "DATA_DIR": "data/<NAME>/dataset.yaml names the files",
    "OUTPUT_DIR": "results go to output/",
    "LOG_DIR": "logs go to output/log/",
    "CUDNN": "TensorFlow chooses its own kernels",
    "DATASET.ROOT": "data/<NAME>/dataset.yaml names the files",
    "TRAIN.GAMMA1": "the original never reads it",
    "TRAIN.GAMMA2": "the original never reads it",
    "TRAIN.BEGIN_EPOCH": "the original has no resume logic; --continue resumes",
    "TRAIN.RESUME": "the original never reads it; --continue resumes",
    "TRAIN.CHECKPOINT": "the original never reads it; --continue resumes",
    "TEST.BBOX_THRE": "the original never reads it",
    "TEST.NMS_THRE": "the original never reads it",
    "DEBUG": "test.draw_count and TensorBoard show pictures",
}
#: Values that the original offers and this project does not, by field: those that are possible.
_POSSIBLE: dict[str, tuple[Any, ...]] = {
    "MODEL.NAME": ("pose_resnet", "pose_hsrnet", "pose_hsr_msnet"),
    "MODEL.EXTRA.TARGET_TYPE": ("gaussian",),
    "MODEL.STYLE": ("pytorch", "caffe"),
    "DATASET.DATASET": ("coco", "mpii"),
    "DATASET.DATA_FORMAT": ("jpg", "png"),
    "DATASET.HYBRID_JOINTS_TYPE": ("",),
    "DATASET.SELECT_DATA": (False,),
    "TRAIN.OPTIMIZER": ("adam", "sgd"),
    "TRAIN.SHUFFLE": (True,),
}
#: MODEL.NAME to the settings of its network, its stride, and the values of NUM_LAYERS.
_NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "pose_resnet": ({"backbone_stride": 32}, (18, 34, 50, 101, 152)),
    "pose_hsrnet": ({"backbone": "hsrnet", "backbone_stride": 16}, (59, 110, 161)),
    "pose_hsr_msnet": (
        {"backbone": "hsrnet", "backbone_stride": 16, "hsr.multi_scale": True},
        (59, 110, 161),
    ),
}
_DATASETS = {"coco": ("COCO", 17), "mpii": ("MPII", 16)}


@dataclass(frozen=True)
class Translation:
    """A file in our settings.

    Attributes:
        network: the name by which the original's folders go, `pose_resnet_50`.
        differences: flat settings.
        notes: one line for each field of the file that has no effect.
    """

    network: str
    differences: dict[str, Any]
    notes: tuple[str, ...]


def recognise(raw: Any) -> bool:
    """Whether a YAML is an experiment file of that code: its groups, and its network."""
    if not isinstance(raw, dict) or not isinstance(raw.get("MODEL"), dict):
        return False
    return str(raw["MODEL"].get("NAME", "pose_resnet")) in _NETWORKS and "DATASET" in raw


def translate(raw: Mapping[str, Any]) -> Translation:
    """All that a file says, and all that it leaves to Microsoft's defaults, in our settings.

    Raises:
        ValueError: a field that the original does not know, or a value that is not possible here.
    """
    given = _flatten(raw, FIELDS, "")
    values = {**_flatten(FIELDS, FIELDS, ""), **given}
    for name, possible in _POSSIBLE.items():
        if values[name] not in possible:
            raise ValueError(
                f"{name} must be one of {', '.join(map(repr, possible))} here. "
                f"Received {values[name]!r}."
            )
    notes = []
    for name, value in given.items():
        reason = _WITHOUT_EFFECT.get(name) or _WITHOUT_EFFECT.get(name.partition(".")[0])
        if reason:
            notes.append(f"{name}: {value!r} has no effect: {reason}.")
    differences = {**_network(values), **_data(values), **_training(values), **_test(values)}
    network = f"{values['MODEL.NAME']}_{values['MODEL.EXTRA.NUM_LAYERS']}"
    return Translation(network, differences, tuple(notes))


def _flatten(raw: Mapping[str, Any], fields: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in raw.items():
        name = f"{prefix}{key}"
        if key not in fields:
            nearest = difflib.get_close_matches(str(key), list(fields), n=1)
            hint = (
                f"Did you mean {prefix}{nearest[0]}?" if nearest else f"Known: {', '.join(fields)}."
            )
            raise ValueError(f"unknown field {name}. {hint}")
        if isinstance(fields[key], dict):
            if not isinstance(value, dict):
                raise ValueError(f"{name} must be a group of fields. Received {value!r}.")
            flat |= _flatten(value, fields[key], f"{name}.")
        else:
            flat[name] = _check_kind(name, "" if value is None else value, fields[key])
    return flat


def _check_kind(name: str, value: Any, default: Any) -> Any:
    """A value of the same kind as the original's default."""
    kinds: dict[type, tuple[Any, str]] = {
        bool: (bool, "true or false"),
        int: (int | float, "a number"),
        float: (int | float, "a number"),
        list: (list, f"a list such as {default}"),
        str: (str | int | float, "text"),
    }
    kind, rule = kinds[type(default)]
    flag_as_number = isinstance(value, bool) and not isinstance(default, bool)
    pair = isinstance(default, list) and len(default) == 2 and name.endswith("SIZE")
    if pair and isinstance(value, int) and not flag_as_number:
        return [value, value]  # a square, as in the original
    if not isinstance(value, kind) or flag_as_number or (pair and len(value) != 2):
        raise ValueError(f"{name} must be {rule}. Received {value!r}.")
    return value


def _network(values: Mapping[str, Any]) -> dict[str, Any]:
    _check_network(values)
    network, _ = _NETWORKS[values["MODEL.NAME"]]
    width, height = values["MODEL.IMAGE_SIZE"]
    extra = {name: values[f"MODEL.EXTRA.{name}"] for name in _MODEL_EXTRA}
    layers = extra["NUM_DECONV_LAYERS"]
    filters, kernels = extra["NUM_DECONV_FILTERS"], extra["NUM_DECONV_KERNELS"]
    if not layers == len(filters) == len(kernels):
        raise ValueError(
            f"MODEL.EXTRA must have NUM_DECONV_LAYERS filters and kernels. Received {layers}, "
            f"{filters} and {kernels}."
        )
    stride = network["backbone_stride"] // 2**layers
    if list(extra["HEATMAP_SIZE"]) != [width // stride, height // stride]:
        raise ValueError(
            f"MODEL.EXTRA.HEATMAP_SIZE must be MODEL.IMAGE_SIZE / {stride}, what the network "
            f"gives. Received {extra['HEATMAP_SIZE']} and {values['MODEL.IMAGE_SIZE']}."
        )
    own = {
        **CONVENTIONS["pytorch"],
        **network,
        "depth": extra["NUM_LAYERS"],
        "input_shape": [height, width],
        "stride_on": "1x1" if values["MODEL.STYLE"] == "caffe" else "3x3",
        "head_filters": filters,
        "head_kernels": kernels,
        "head_bias": extra["DECONV_WITH_BIAS"],
        "final_kernel": extra["FINAL_CONV_KERNEL"],
        "sigma": extra["SIGMA"],
        "use_target_weight": values["LOSS.USE_TARGET_WEIGHT"],
        "decoder": "quarter" if values["TEST.POST_PROCESS"] else "none",
        "shift_flipped": values["TEST.SHIFT_HEATMAP"],
    }
    return {f"options.{name}": value for name, value in own.items()}


def _check_network(values: Mapping[str, Any]) -> None:
    """Depth, style and head are those of the network that the file names."""
    name, style = values["MODEL.NAME"], values["MODEL.STYLE"]
    depth, layers = (values[f"MODEL.EXTRA.{key}"] for key in ("NUM_LAYERS", "NUM_DECONV_LAYERS"))
    network, depths = _NETWORKS[name]
    if depth not in depths:
        raise ValueError(
            f"MODEL.EXTRA.NUM_LAYERS of {name} must be one of {', '.join(map(str, depths))}. "
            f"Received {depth}."
        )
    if name != "pose_resnet" and style != "pytorch":
        raise ValueError(
            f"MODEL.STYLE must be 'pytorch' for {name}, which strides on its 3x3 convolutions. "
            f"Received {style!r}."
        )
    most = network["backbone_stride"].bit_length() - 1
    if layers > most:
        raise ValueError(
            f"MODEL.EXTRA.NUM_DECONV_LAYERS of {name} must be at most {most}, because heatmaps "
            f"cannot be larger than the picture. Received {layers}."
        )


def _data(values: Mapping[str, Any]) -> dict[str, Any]:
    name, joints = _DATASETS[values["DATASET.DATASET"]]
    if values["MODEL.NUM_JOINTS"] != joints:
        raise ValueError(
            f"MODEL.NUM_JOINTS must be the {joints} joints of {name}. "
            f"Received {values['MODEL.NUM_JOINTS']}."
        )
    train = str(values["DATASET.TRAIN_SET"])
    if not train.startswith("train") or "val" in train:
        raise ValueError(
            f"DATASET.TRAIN_SET must be the train split. Received {train!r}; other files go into "
            "a data/<NAME>/dataset.yaml."
        )
    return {
        "data.trainset": [name],
        "data.testset": name,
        "view.outside_joints": "keep",
        "view.augmentation.flip_probability": 0.5 if values["DATASET.FLIP"] else 0.0,
        "view.augmentation.scale_std": values["DATASET.SCALE_FACTOR"],
        "view.augmentation.rotation_std_deg": values["DATASET.ROT_FACTOR"],
    }


def _training(values: Mapping[str, Any]) -> dict[str, Any]:
    """Microsoft's Adam has no weight decay; its SGD has momentum and decays."""
    adam = values["TRAIN.OPTIMIZER"] == "adam"
    pretrained = values["MODEL.PRETRAINED"] or "imagenet"
    return {
        "train.optimizer": "adam" if adam else "momentum",
        "train.momentum": values["TRAIN.MOMENTUM"],
        "train.nesterov": values["TRAIN.NESTEROV"],
        "train.weight_decay": 0.0 if adam else values["TRAIN.WD"],
        "train.learning_rate": values["TRAIN.LR"],
        "train.decay_factor": round(1 / float(values["TRAIN.LR_FACTOR"]), 9),
        "train.decay_epochs": values["TRAIN.LR_STEP"],
        "train.end_epoch": values["TRAIN.END_EPOCH"],
        "train.batch_size": values["TRAIN.BATCH_SIZE"],
        "train.log_every": values["PRINT_FREQ"],
        "train.initial_weights": pretrained if values["MODEL.INIT_WEIGHTS"] else "none",
    }


def _test(values: Mapping[str, Any]) -> dict[str, Any]:
    mpii = values["DATASET.DATASET"] == "mpii"
    split = str(values["DATASET.TEST_SET"])
    names = {"valid": "val", "val2017": "val", "test-dev2017": "test", "train2017": "train"}
    return {
        "test.split": names.get(split, split),
        "test.batch_size": values["TEST.BATCH_SIZE"],
        "test.flip_test": values["TEST.FLIP_TEST"],
        # Its MPII people come with a centre and a scale, never from a detector.
        "test.use_gt_box": mpii or values["TEST.USE_GT_BBOX"],
        # Its annotated boxes of COCO are those that it trains on.
        "test.gt_people": "all" if mpii else "labelled",
        "test.detections": values["TEST.COCO_BBOX_FILE"],
        # Its detections count from IMAGE_THRE on, ours above the threshold.
        "test.detection_threshold": math.nextafter(values["TEST.IMAGE_THRE"], -math.inf),
        "test.keypoint_threshold": values["TEST.IN_VIS_THRE"],
        "test.oks_nms_threshold": values["TEST.OKS_THRE"],
        "test.model_file": values["TEST.MODEL_FILE"],
    }
