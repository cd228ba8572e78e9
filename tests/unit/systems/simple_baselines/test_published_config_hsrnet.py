"""HSRNet's experiment files: Microsoft's format with two more networks."""

import copy

import pytest
import yaml

import config as main_config
from poseras.published_config import read_published_config
from poseras.settings import flatten
from poseras.starting_weights import find_start
from poseras.systems.simple_baselines.published_config import recognise, translate

#: HSRNet-59 at 256x192; the other files differ in what `PUBLISHED` lists.
HSRNET = {
    "GPUS": "0",
    "OUTPUT_DIR": "output",
    "LOG_DIR": "log",
    "DATA_DIR": "",
    "WORKERS": 4,
    "PRINT_FREQ": 100,
    "DATASET": {
        "DATASET": "coco",
        "ROOT": "data/coco/",
        "TRAIN_SET": "train2017",
        "TEST_SET": "val2017",
        "FLIP": True,
        "ROT_FACTOR": 40,
        "SCALE_FACTOR": 0.3,
    },
    "MODEL": {
        "NAME": "pose_hsrnet",
        "PRETRAINED": "models/pytorch/imagenet/detnet59.pth",
        "IMAGE_SIZE": [192, 256],
        "NUM_JOINTS": 17,
        "EXTRA": {
            "TARGET_TYPE": "gaussian",
            "HEATMAP_SIZE": [48, 64],
            "SIGMA": 2,
            "FINAL_CONV_KERNEL": 1,
            "DECONV_WITH_BIAS": False,
            "NUM_DECONV_LAYERS": 2,
            "NUM_DECONV_FILTERS": [256, 256],
            "NUM_DECONV_KERNELS": [4, 4],
            "NUM_LAYERS": 59,
        },
    },
    "LOSS": {"USE_TARGET_WEIGHT": True},
    "TRAIN": {
        "BATCH_SIZE": 32,
        "END_EPOCH": 140,
        "OPTIMIZER": "adam",
        "LR": 0.001,
        "LR_FACTOR": 0.1,
        "LR_STEP": [90, 120],
    },
    "TEST": {
        "BATCH_SIZE": 32,
        "COCO_BBOX_FILE": "boxes.json",
        "IMAGE_THRE": 0.0,
        "IN_VIS_THRE": 0.2,
        "OKS_THRE": 0.9,
        "USE_GT_BBOX": True,
    },
}
#: Depth and size of the published files, with people a device, epochs and decay.
PUBLISHED = [
    (59, (256, 192), 32, 140, [90, 120]),
    (59, (384, 288), 32, 160, [110, 140]),
    (110, (256, 192), 32, 140, [90, 120]),
    (110, (384, 288), 28, 140, [90, 120]),
    (161, (256, 192), 32, 140, [90, 120]),
    (161, (384, 288), 20, 160, [110, 140]),
]


def changed(**fields):
    """The file with some fields set, `MODEL__EXTRA__SIGMA=3`."""
    raw = copy.deepcopy(HSRNET)
    for name, value in fields.items():
        *groups, key = name.split("__")
        inner = raw
        for group in groups:
            inner = inner[group]
        inner[key] = value
    return raw


@pytest.mark.parametrize("name", ["pose_hsrnet", "pose_hsr_msnet"])
@pytest.mark.parametrize(("depth", "size", "people", "epochs", "decay"), PUBLISHED)
def test_each_published_file_says_what_our_config_of_it_says(
    tmp_path, name, depth, size, people, epochs, decay
):
    height, width = size
    raw = changed(
        MODEL__NAME=name,
        MODEL__IMAGE_SIZE=[width, height],
        MODEL__EXTRA__HEATMAP_SIZE=[width // 4, height // 4],
        MODEL__EXTRA__SIGMA=height // 128,
        MODEL__EXTRA__NUM_LAYERS=depth,
        TRAIN__BATCH_SIZE=people,
        TRAIN__END_EPOCH=epochs,
        TRAIN__LR_STEP=decay,
    )
    path = tmp_path / f"{height}x{width}_d256x3_adam_lr1e-3.yaml"
    path.write_text(yaml.safe_dump(raw))
    theirs = main_config.load_config("simple_baselines_coco_resnet50_256x192", [], published=path)
    own = name.removeprefix("pose_")
    ours = main_config.load_config(f"{own}_coco_{depth}_{height}x{width}")
    assert theirs.run == f"{name}_{depth}_{path.stem}"
    assert theirs.options.sigma_cells == ours.options.sigma_cells
    different = {
        key
        for key, value in flatten(theirs).items()
        if value != flatten(ours)[key] and not key.startswith("test.")
    }
    # Sigma is written out, the name of the run and of the start are their own.
    allowed = {"run", "options.sigma", "train.initial_weights", "train.log_every"}
    assert different <= allowed | {"train.batch_size"} and theirs.train.batch_size == people
    assert theirs.test.use_gt_box and not ours.test.use_gt_box
    assert theirs.test.gt_people == "labelled"


def test_the_run_is_named_after_network_and_file(tmp_path):
    path = tmp_path / "256x192_d256x3_adam_lr1e-3.yaml"
    path.write_text(yaml.safe_dump(changed(MODEL__NAME="pose_hsr_msnet")))
    found = read_published_config(path)
    assert found["run"] == "pose_hsr_msnet_59_256x192_d256x3_adam_lr1e-3"
    assert found["options.hsr.multi_scale"] is True
    assert found["train.initial_weights"] == "models/pytorch/imagenet/detnet59.pth"


def test_one_number_is_a_square():
    raw = changed(MODEL__IMAGE_SIZE=256, MODEL__EXTRA__HEATMAP_SIZE=64)
    assert translate(raw).differences["options.input_shape"] == [256, 256]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"MODEL__EXTRA__NUM_LAYERS": 50},
            r"NUM_LAYERS of pose_hsrnet must be one of 59, 110, 161",
        ),
        (
            {"MODEL__NAME": "pose_resnet"},
            r"NUM_LAYERS of pose_resnet must be one of 18, .*Received 59",
        ),
        ({"MODEL__STYLE": "caffe"}, r"STYLE must be 'pytorch' for pose_hsrnet"),
        ({"MODEL__EXTRA__HEATMAP_SIZE": [24, 32]}, r"HEATMAP_SIZE must be MODEL\.IMAGE_SIZE / 4"),
        (
            {
                "MODEL__EXTRA__NUM_DECONV_LAYERS": 5,
                "MODEL__EXTRA__NUM_DECONV_FILTERS": [4] * 5,
                "MODEL__EXTRA__NUM_DECONV_KERNELS": [4] * 5,
            },
            r"NUM_DECONV_LAYERS of pose_hsrnet must be at most 4",
        ),
        ({"DATASET__MEAN": [1, 2, 3]}, r"unknown field DATASET\.MEAN"),
    ],
)
def test_contradictory_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        translate(changed(**fields))


def test_a_picture_that_the_network_cannot_halve_often_enough_is_named(tmp_path):
    raw = changed(MODEL__IMAGE_SIZE=[200, 256], MODEL__EXTRA__HEATMAP_SIZE=[50, 64])
    path = tmp_path / "256x200.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(ValueError, match=r"divisible by the stride 16\. Received \(256, 200\)"):
        main_config.load_config(published=path)


def test_an_unhashable_name_is_claimed_by_nobody():
    assert not recognise(changed(MODEL__NAME=["pose_hsrnet"]))


def test_the_pretrained_file_is_looked_for_where_the_originals_place_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, root = tmp_path / "models" / "imagenet" / "detnet59.pth", tmp_path / "project"
    ours = root / "data" / "imagenet_weights"
    assert find_start(given, root) == given, "a missing file keeps its name for the message"
    ours.mkdir(parents=True)
    (ours / "detnet59.pth").touch()
    assert find_start(given, root) == ours / "detnet59.pth"
    tree = tmp_path / "models" / "pytorch" / "imagenet"
    tree.mkdir(parents=True)
    (tree / "detnet59.pth").touch()
    assert find_start(given, root).resolve() == (tree / "detnet59.pth").resolve()
    given.parent.mkdir()
    given.touch()
    assert find_start(given, root) == given
