"""Microsoft's experiment files: what they set, and that no field of them is lost in silence."""

import copy

import pytest
import yaml

import command_line
import config as main_config
from poseras.published_config import read_published_config
from poseras.settings import flatten
from poseras.systems.simple_baselines.published_config import FIELDS, recognise, translate

#: What Microsoft's files for COCO have in common; the numbers are those of its tables.
COCO = {
    "GPUS": "0,1,2,3",
    "DATA_DIR": "",
    "OUTPUT_DIR": "output",
    "LOG_DIR": "log",
    "WORKERS": 4,
    "PRINT_FREQ": 100,
    "DATASET": {
        "DATASET": "coco",
        "ROOT": "data/coco/",
        "TEST_SET": "val2017",
        "TRAIN_SET": "train2017",
        "FLIP": True,
        "ROT_FACTOR": 40,
        "SCALE_FACTOR": 0.3,
    },
    "MODEL": {
        "NAME": "pose_resnet",
        "PRETRAINED": "models/pytorch/imagenet/resnet50-19c8e357.pth",
        "IMAGE_SIZE": [192, 256],
        "NUM_JOINTS": 17,
        "EXTRA": {
            "TARGET_TYPE": "gaussian",
            "HEATMAP_SIZE": [48, 64],
            "SIGMA": 2,
            "FINAL_CONV_KERNEL": 1,
            "DECONV_WITH_BIAS": False,
            "NUM_DECONV_LAYERS": 3,
            "NUM_DECONV_FILTERS": [256, 256, 256],
            "NUM_DECONV_KERNELS": [4, 4, 4],
            "NUM_LAYERS": 50,
        },
    },
    "LOSS": {"USE_TARGET_WEIGHT": True},
    "TRAIN": {
        "BATCH_SIZE": 32,
        "SHUFFLE": True,
        "BEGIN_EPOCH": 0,
        "END_EPOCH": 140,
        "RESUME": False,
        "OPTIMIZER": "adam",
        "LR": 0.001,
        "LR_FACTOR": 0.1,
        "LR_STEP": [90, 120],
        "WD": 0.0001,
        "GAMMA1": 0.99,
        "GAMMA2": 0.0,
        "MOMENTUM": 0.9,
        "NESTEROV": False,
    },
    "TEST": {
        "BATCH_SIZE": 32,
        "COCO_BBOX_FILE": "data/coco/boxes.json",
        "BBOX_THRE": 1.0,
        "FLIP_TEST": False,
        "IMAGE_THRE": 0.0,
        "IN_VIS_THRE": 0.2,
        "MODEL_FILE": "",
        "NMS_THRE": 1.0,
        "OKS_THRE": 0.9,
        "USE_GT_BBOX": True,
    },
    "DEBUG": {"DEBUG": True, "SAVE_HEATMAPS_PRED": True},
}


def changed(**fields):
    """The file with some fields set, `MODEL__EXTRA__SIGMA=3`."""
    raw = copy.deepcopy(COCO)
    for name, value in fields.items():
        *groups, key = name.split("__")
        inner = raw
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[key] = value
    return raw


def differences(**fields):
    return translate(changed(**fields)).differences


def write(folder, raw, name="256x192_d256x3_adam_lr1e-3.yaml"):
    path = folder / name
    path.write_text(yaml.safe_dump(raw))
    return str(path)


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ("microsoft_coco_resnet50_256x192", {}),
        (
            "microsoft_coco_resnet152_384x288",
            {
                "MODEL__IMAGE_SIZE": [288, 384],
                "MODEL__EXTRA__HEATMAP_SIZE": [72, 96],
                "MODEL__EXTRA__SIGMA": 3,
                "MODEL__EXTRA__NUM_LAYERS": 152,
            },
        ),
    ],
)
def test_the_files_for_coco_give_the_networks_and_recipes_that_are_shipped(
    tmp_path, config, fields
):
    ours = main_config.load_config(config)
    theirs = main_config.load_config(published=write(tmp_path, changed(**fields)))
    assert theirs.run.startswith("pose_resnet_") and theirs.run.endswith(
        "_256x192_d256x3_adam_lr1e-3"
    )
    assert theirs.options.sigma_cells == ours.options.sigma_cells
    ignored = ("run", "options.sigma", "train.initial_weights", "train.log_every", "test.")
    ours, theirs = (
        {k: v for k, v in flatten(c).items() if not k.startswith(ignored)} for c in (ours, theirs)
    )
    assert theirs == ours


def test_the_test_follows_the_file(tmp_path):
    test = main_config.load_config(published=write(tmp_path, COCO)).test
    assert (test.use_gt_box, test.flip_test, test.split) == (True, False, "val")
    assert test.gt_people == "labelled"
    assert (test.oks_nms_threshold, test.keypoint_threshold) == (0.9, 0.2)
    assert test.detections == "data/coco/boxes.json"
    # A detection counts from IMAGE_THRE on, one of score 0 too.
    assert test.detection_threshold < 0 < test.detection_threshold + 1e-300


def test_flags_of_the_original_go_on_top_of_its_file(tmp_path):
    arguments = ["--cfg", write(tmp_path, COCO), "--flip-test", "--model-file", "a.pth.tar"]
    chosen = command_line.parse_arguments(command_line.test_parser(), arguments)
    config = main_config.load_config(chosen.config, chosen.set, published=chosen.cfg)
    assert config.test.flip_test and chosen.model_file == "a.pth.tar"
    assert command_line.parse_arguments(command_line.train_parser(), arguments[:2]).cfg


def test_what_the_file_leaves_out_has_the_defaults_of_the_original():
    raw = {"DATASET": {"DATASET": "mpii"}, "MODEL": {"NAME": "pose_resnet"}}
    found = translate(raw).differences
    assert found["data.trainset"] == ["MPII"] and found["data.testset"] == "MPII"
    assert found["options.input_shape"] == [256, 256]
    assert found["train.decay_epochs"] == [90, 110]
    assert found["test.oks_nms_threshold"] == 0.5
    assert found["view.augmentation.rotation_std_deg"] == 30
    assert found["view.augmentation.scale_std"] == 0.25
    assert found["test.use_gt_box"] is True, "people of MPII never come from a detector"
    assert found["test.gt_people"] == "all"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"MODEL__STYLE": "caffe"}, {"options.stride_on": "1x1"}),
        ({"MODEL__INIT_WEIGHTS": False}, {"train.initial_weights": "none"}),
        ({"MODEL__PRETRAINED": ""}, {"train.initial_weights": "imagenet"}),
        ({"TEST__POST_PROCESS": False}, {"options.decoder": "none"}),
        ({"TEST__SHIFT_HEATMAP": False}, {"options.shift_flipped": False}),
        ({"LOSS__USE_TARGET_WEIGHT": False}, {"options.use_target_weight": False}),
        ({"DATASET__FLIP": False}, {"view.augmentation.flip_probability": 0.0}),
        ({"TRAIN__LR_FACTOR": 0.5}, {"train.decay_factor": 2.0}),
        ({"TEST__MODEL_FILE": "m.pth"}, {"test.model_file": "m.pth"}),
        ({"DATASET__TEST_SET": "test-dev2017"}, {"test.split": "test"}),
        (
            {"TRAIN__OPTIMIZER": "sgd", "TRAIN__NESTEROV": True},
            {"train.optimizer": "momentum", "train.nesterov": True, "train.weight_decay": 0.0001},
        ),
        (
            {
                "MODEL__EXTRA__NUM_DECONV_LAYERS": 2,
                "MODEL__EXTRA__NUM_DECONV_FILTERS": [256, 128],
                "MODEL__EXTRA__NUM_DECONV_KERNELS": [4, 3],
                "MODEL__EXTRA__HEATMAP_SIZE": [24, 32],
                "MODEL__EXTRA__DECONV_WITH_BIAS": True,
            },
            {
                "options.head_filters": [256, 128],
                "options.head_kernels": [4, 3],
                "options.head_bias": True,
            },
        ),
    ],
)
def test_each_field_that_the_original_reads_sets_something(fields, expected):
    found, usual = differences(**fields), differences()
    for key, value in expected.items():
        assert found[key] == value
        assert usual[key] != value


def test_fields_that_nobody_reads_are_named_with_the_reason(tmp_path, caplog):
    with caplog.at_level("INFO", logger="poseras"):
        read_published_config(write(tmp_path, COCO))
    text = caplog.text
    for name in ("GPUS", "WORKERS", "TRAIN.GAMMA1", "TEST.NMS_THRE", "DEBUG.DEBUG", "DATASET.ROOT"):
        assert f"{name}: " in text, name
    assert "TRAIN.RESUME: False has no effect: the original never reads it; --continue" in text
    assert "TRAIN.LR:" not in text
    caplog.clear()
    with caplog.at_level("INFO", logger="poseras"):
        read_published_config(write(tmp_path, COCO), report=False)
    assert not caplog.text


def test_every_field_of_the_original_sets_something_or_is_named_as_without_effect():
    def names(fields, prefix=""):
        for key, value in fields.items():
            if isinstance(value, dict):
                yield from names(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    usual = translate({"MODEL": {}, "DATASET": {}})
    silent = []
    for name, value in names(FIELDS):
        raw: dict = {"MODEL": {}, "DATASET": {}}
        inner = raw
        *groups, key = name.split(".")
        for group in groups:
            inner = inner.setdefault(group, {})
        others = {bool: lambda v: not v, int: lambda v: v * 2 + 1, float: lambda v: v / 2 + 0.1}
        inner[key] = others.get(type(value), lambda v: "another")(value)
        try:
            found = translate(raw)
        except ValueError:
            continue  # read, and refused
        if (
            found.differences == usual.differences
            and not found.notes
            and found.network == usual.network
        ):
            silent.append(name)
    # Adam does not decay; MPII always has its own boxes.
    assert silent == ["TRAIN.WD", "TEST.USE_GT_BBOX"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"TRAIN__LRR": 1}, r"unknown field TRAIN\.LRR\. Did you mean TRAIN\.LR\?"),
        ({"MODEL__EXTRA__ZZZ": 1}, r"unknown field MODEL\.EXTRA\.ZZZ\. Known: TARGET_TYPE"),
        (
            {"MODEL__IMAGE_SIZE": "256"},
            r"IMAGE_SIZE must be a list such as \[256, 256\]. Received '256'",
        ),
        ({"MODEL__IMAGE_SIZE": [256]}, r"IMAGE_SIZE must be a list such as"),
        ({"TRAIN__LR": "fast"}, r"TRAIN\.LR must be a number\. Received 'fast'"),
        ({"TRAIN__LR": True}, r"TRAIN\.LR must be a number\. Received True"),
        ({"TEST__FLIP_TEST": 1}, r"TEST\.FLIP_TEST must be true or false\. Received 1"),
        ({"TRAIN": 3}, r"TRAIN must be a group of fields\. Received 3"),
        ({"MODEL__EXTRA__TARGET_TYPE": "offset"}, r"TARGET_TYPE must be one of 'gaussian' here"),
        ({"DATASET__DATA_FORMAT": "zip"}, r"DATA_FORMAT must be one of 'jpg', 'png' here"),
        ({"DATASET__SELECT_DATA": True}, r"SELECT_DATA must be one of False here. Received True"),
        ({"MODEL__NUM_JOINTS": 16}, r"NUM_JOINTS must be the 17 joints of COCO\. Received 16"),
        ({"MODEL__EXTRA__HEATMAP_SIZE": [64, 48]}, r"HEATMAP_SIZE must be MODEL\.IMAGE_SIZE / 4"),
        ({"MODEL__EXTRA__NUM_DECONV_LAYERS": 2}, r"must have NUM_DECONV_LAYERS filters and"),
        ({"DATASET__TRAIN_SET": "val2017"}, r"TRAIN_SET must be the train split"),
    ],
)
def test_unknown_fields_and_values_that_cannot_be_had_are_errors(tmp_path, fields, message):
    raw = changed(**{k: v for k, v in fields.items() if k != "TRAIN"})
    raw = {**raw, **{k: v for k, v in fields.items() if k == "TRAIN"}}
    with pytest.raises(ValueError, match=r"lr1e-3\.yaml: .*" + message):
        read_published_config(write(tmp_path, raw))


@pytest.mark.parametrize(
    "raw", [{"train.batch_size": 3}, [1], None, {"MODEL": {"NAME": "pose_hrnet"}, "DATASET": {}}]
)
def test_files_of_nobody_are_refused_with_the_way_on(tmp_path, raw):
    assert not recognise(raw)
    with pytest.raises(ValueError, match=r"none claims it of .*simple_baselines.* go to --config"):
        read_published_config(write(tmp_path, raw))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No YAML file at .*a\.yaml"):
        read_published_config(tmp_path / "a.yaml")
