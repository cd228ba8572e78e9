"""Every setting of poseras with its default; `command_line` is how the programs are told them.

The defaults are the published recipe of Simple Baselines for COCO: ResNet-50, 256x192. A YAML in
`main/configs/` and `--set NAME=VALUE` hold differences alone; `--list-settings` prints them all.
Relative paths among the settings start at the project root, the parent of `main/`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from poseras.check import check_at_least, check_scales
from poseras.data.evaluation_set import EvaluationFiles, find_evaluation_files
from poseras.engine.schedule import Schedule
from poseras.engine.step_settings import OptimizerName, Precision, StepSettings
from poseras.published_config import read_published_config
from poseras.setting_values import Pattern
from poseras.settings import (
    apply_differences,
    flatten,
    parse_assignments,
    read_differences,
    take_settings,
)
from poseras.structures import View
from poseras.systems import check_unread, options_module

PROJECT_ROOT = Path(__file__).resolve().parent.parent
CONFIG_FOLDER = PROJECT_ROOT / "main" / "configs"
DEFAULT_CONFIG = "simple_baselines_coco_resnet50_256x192"


@dataclass(frozen=True)
class DataConfig:
    """Which people the network sees.

    Attributes:
        trainset: folders of data/ to train on, such as COCO,MPII. The first gives the skeleton.
        testset: folder of data/ to test on.
        train_split: of the first trainset; the others give their `train`.
        annotations: path of a COCO-format file, or of a `.mat` file of pose-tensorflow, instead of
            the first trainset's own.
        images: folder of the pictures that it lists, instead of the first trainset's own.
        mixing: of several trainsets: `joined` shuffles all together, `even` fills each batch with
            equally many of each, `published` (integral regression) does so in expectation.
        skeleton: NAME/SET, such as COCO/coco_17, instead of the first set of the first trainset.
        box_clipping: how boxes are brought inside their images. `published` (the published AP
            depends on it) shifts them and makes them one pixel smaller; `exact` cuts them.
        min_seen_joints: top-down systems do not learn people with fewer joints in sight (visibility
            2); 0, as published, learns everybody who has a labelled one.
        small_area: px^2 of the annotation; bottom-up systems do not learn the keypoints of people
            of at most this area, 32 squared in SimplePose V2; of people without one they do.
        ignore_boxes: let bottom-up losses ignore the boxes of crowds, not only their segments.
        most_pictures: learn from the first so many pictures of each trainset, of those with
            somebody to learn; 0 is all.
        on_bad_sample: `stop` at an unreadable picture, or `skip` it, count it and list it.
        workers: threads that decode and warp; 0 is one for each CPU core.
    """

    trainset: tuple[str, ...] = ("COCO",)
    testset: str = "COCO"
    train_split: str = "train"
    annotations: str = ""
    images: str = ""
    mixing: Literal["joined", "even", "published"] = "joined"
    skeleton: str = ""
    box_clipping: Literal["published", "exact"] = "published"
    min_seen_joints: int = 0
    small_area: float = 1024.0
    ignore_boxes: bool = False
    most_pictures: int = 0
    on_bad_sample: Literal["stop", "skip"] = "stop"
    workers: int = 0

    def __post_init__(self) -> None:
        if not self.trainset or not self.testset:
            raise ValueError(
                "data.trainset and data.testset must name folders of data/, for example COCO. "
                f"Received {list(self.trainset)} and {self.testset!r}."
            )
        check_at_least("data", self, 0, "workers min_seen_joints small_area most_pictures")


@dataclass(frozen=True)
class TrainConfig:
    """How the network learns; Simple Baselines' recipe for COCO (Xiao et al., ECCV 2018).

    Attributes:
        end_epoch: the last epoch; an epoch is ceil(people / global batch) steps.
        learning_rate: of the first epochs, for a global batch of 64 (2 devices x 32).
        schedule: `step` divides it at decay_epochs, `cosine` lets it fall as half a cosine wave.
        decay_epochs: from each of these epochs on the learning rate is divided once more.
        decay_factor: what it is divided by.
        decay_factors: or its share from each of these epochs on; it may rise again.
        decay_steps: the first steps of each new learning rate, in the place of decay_epochs. A step
            is an update, here, in total_steps and in warmup_steps: a run that is continued with
            another batch or number of devices keeps their count, while its epochs go on at the same
            part of the data.
        total_steps: of the run, in the place of end_epoch; 0 takes that.
        flat_fraction: of the run before the cosine begins; RTMPose 0.5.
        final_fraction: of the learning rate that is left at the end of the cosine.
        warmup_steps: over which the learning rate first rises linearly; see decay_steps.
        optimizer: `adam` and `adamw` (0.9, 0.999, epsilon 1e-8), `momentum`, or plain `sgd`.
        momentum: of the `momentum` optimizer.
        nesterov: whether the `momentum` optimizer looks ahead.
        layer_decay: the learning rate of each layer is this times that of the next one towards the
            output, where the backbone numbers its layers (ViT: 0.75 for B); 1 is off.
        weight_decay: L2, weight_decay * sum(w^2) / 2 over the kernels of convolutions and dense
            layers, for any number of devices; decoupled from the gradients with adamw.
        batch_size: people per device and step; the global batch is this times the devices.
        precision: of the network between its float32 ends. Losses are float32 always, and
            mixed_float16 scales the loss.
        frozen: regular expressions; variables whose path holds one are not trained. `^basenet` is
            the backbone of SimplePose V2. Layers that match as a whole keep their statistics. Text
            is one expression, whatever it holds; a list, [A, B], several.
        ema_decay: also keep moving averages of the weights (0.998), validate with them; 0 is off.
        clip_norm: the gradients' global norm is cut here; 0 is off.
        accumulate_steps: gradients of so many batches are averaged before the weights change.
        initial_weights: `imagenet` reads data/imagenet_weights/resnet_v1_<depth>.ckpt, `shipped`
            the small network that comes with poseras, `none` starts from random numbers, anything
            else is the path of a snapshot or checkpoint. The ResNets of integral regression and of
            DeeperCut also start from one of Simple Baselines.
        snapshot_minutes: a rolling snapshot is written this often between epochs; 0 is off.
        keep_snapshots: how many of the newest epochs stay on disk; 0 keeps all, as published.
        validate_every_epochs: AP on test.split so often, the best snapshot is kept; 0 is never.
        peer_timeout_s: seconds to wait for the other machines of TF_CONFIG before giving up.
        log_every: steps between two lines of the log and two points of TensorBoard.
    """

    end_epoch: int = 140
    learning_rate: float = 5e-4
    schedule: Literal["step", "cosine"] = "step"
    decay_epochs: tuple[int, ...] = (90, 120)
    decay_factor: float = 10.0
    decay_factors: tuple[float, ...] = ()
    decay_steps: tuple[int, ...] = ()
    total_steps: int = 0
    flat_fraction: float = 0.0
    final_fraction: float = 0.0
    warmup_steps: int = 0
    optimizer: OptimizerName = "adam"
    momentum: float = 0.9
    nesterov: bool = False
    layer_decay: float = 1.0
    weight_decay: float = 1e-5
    batch_size: int = 32
    precision: Precision = "float32"
    frozen: tuple[Pattern, ...] = ()
    ema_decay: float = 0.0
    clip_norm: float = 0.0
    accumulate_steps: int = 1
    initial_weights: str = "imagenet"
    snapshot_minutes: float = 10.0
    keep_snapshots: int = 0
    validate_every_epochs: int = 0
    peer_timeout_s: float = 120.0
    log_every: int = 20

    def __post_init__(self) -> None:
        check_at_least("train", self, 1, "batch_size log_every")
        check_at_least("train", self, 0, "snapshot_minutes keep_snapshots validate_every_epochs")
        check_at_least("train", self, 0, "peer_timeout_s")
        take_settings(Schedule, self, steps_per_epoch=1)  # these two check the rest
        take_settings(StepSettings, self)


@dataclass(frozen=True)
class TestConfig:
    """Which people are tested, and what becomes of the raw predictions.

    Attributes:
        model_file: path of a snapshot, or of a published checkpoint, instead of the run's own.
        split: of data.testset: train, val, test or what else its dataset.yaml lists.
        annotations: path of a COCO-format or `.mat` file instead of the split's own.
        images: folder of the pictures that it lists, instead of the split's own.
        detections: path of person boxes in COCO result format instead of the split's own.
        use_gt_box: test on annotated boxes; gives higher numbers than detections do.
        gt_people: whose annotated boxes: of `all`, crowds and people without keypoints among them
            (TF-SimpleHumanPose), or of the `labelled`, made one pixel smaller (Microsoft's code).
        batch_size: people per device and step; changes no result.
        flip_test: also look at the mirror image and average.
        detection_threshold: boxes whose score is not above it are ignored.
        keypoint_threshold: a person's score is the box's times the mean keypoint score above it.
        box_nms_threshold: of two boxes with a larger IoU the lower goes; 0 is off, as published.
        oks_nms_threshold: of two people with a larger OKS the lower goes; 0 is off.
        real_keypoint_scores: write each keypoint's score into the result file, not 1 as published.
        evaluator: `pycocotools`, poseras' `fast` one, or `both`, where a difference is an error.
        ensemble: paths of more snapshots, of any input size, for person boxes: the coordinates of
            all networks are averaged, in space, too.
        scales: sizes of whole pictures relative to the view, 1 among them; maps are averaged.
        all_images: let bottom-up systems also look at pictures without annotations.
        most_pictures: tests and validations look at the first so many pictures of the file alone,
            and score these; 0 is all. PoseTrack is scored by whole sequences.
        true_masks: read poses inside the annotated masks of people, as pose-tensorflow's
            evaluation on COCO does; an oracle, without grouping and flip test. For
            deepercut_arttrack.
        track: give the people of PoseTrack's sequences ids and score MOTA, too; `greedy` as
            published, `optimal`, or `none`. See `tracking.TrackerSettings`.
        track_motion: where they are expected next: by optical `flow` (published), by their own
            `motion`, or `none`: in place.
        track_threshold: keypoints of tracked people are written with a score above it, because MOTA
            counts each wrong one; the paper's 0.4.
        draw_count: pictures drawn into output/vis, those with the best people first; 0 is none.
        draw_style: `house` shows hidden joints differently, `original` is TF-SimpleHumanPose's.
        draw_threshold: keypoints with a score above it are drawn.
        draw_parts: also draw people in one colour each, the score maps, and arrows from joints to
            where they expect others; for deepercut_arttrack and simplepose_v2.
    """

    model_file: str = ""
    split: str = "val"
    annotations: str = ""
    images: str = ""
    detections: str = ""
    use_gt_box: bool = False
    gt_people: Literal["all", "labelled"] = "all"
    batch_size: int = 32
    flip_test: bool = True
    detection_threshold: float = 0.0
    keypoint_threshold: float = 0.2
    box_nms_threshold: float = 0.0
    oks_nms_threshold: float = 0.9
    real_keypoint_scores: bool = False
    evaluator: Literal["pycocotools", "fast", "both"] = "pycocotools"
    ensemble: tuple[str, ...] = ()
    scales: tuple[float, ...] = (1.0,)
    all_images: bool = False
    most_pictures: int = 0
    true_masks: bool = False
    track: Literal["none", "greedy", "optimal"] = "none"
    track_motion: Literal["flow", "motion", "none"] = "flow"
    track_threshold: float = 0.4
    draw_count: int = 20
    draw_style: Literal["house", "original"] = "house"
    draw_threshold: float = 0.4
    draw_parts: bool = False

    def __post_init__(self) -> None:
        check_at_least("test", self, 1, "batch_size")
        check_at_least("test", self, 0, "draw_count box_nms_threshold oks_nms_threshold")
        check_at_least("test", self, 0, "most_pictures")
        check_scales(self.scales)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of one run.

    Attributes:
        system: folder of lib/poseras/systems/.
        run: name of the folders in output/{log,model_dump,result,vis}/<dataset>/; by default the
            name of the config.
        seed: of initial weights, order of samples and augmentation (TF-SimpleHumanPose's 2333).
        data: which people.
        train: how to learn.
        test: how to test.
        options: of the system; its options.py explains them.
        view: how a picture becomes network input; the system's published one by default.
    """

    system: str = "simple_baselines"
    run: str = DEFAULT_CONFIG
    seed: int = 2333
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    test: TestConfig = field(default_factory=TestConfig)
    options: Any
    view: View

    def __post_init__(self) -> None:
        if not self.run or self.run in (".", "..") or "/" in self.run or "\\" in self.run:
            raise ValueError(f"run must be a folder name. Received {self.run!r}.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in 0..{2**32 - 1}. Received {self.seed}.")


def build_config(differences: Mapping[str, Any]) -> Config:
    """The settings that differ from the defaults of a system as told; the view follows its options.

    Raises:
        ValueError: an unknown system, an unknown key or a wrong value.
    """
    module = options_module(str(differences.get("system", Config.system)))
    options = module.Options()
    config = Config(options=options, view=module.default_view(options))
    own = {key: value for key, value in differences.items() if key.startswith("options.")}
    config = apply_differences(config, own)
    config = replace(config, view=module.default_view(config.options))
    config = apply_differences(config, differences)
    return _relate_files(config, getattr(module, "FILES", ()))


def _relate_files(config: Config, names: Sequence[str]) -> Config:
    """The settings with the files that options name relative to the project root, if below it.

    So a run can go on where the project lies elsewhere; other files are absolute paths.
    """
    files = {name: getattr(config.options, name) for name in names}
    related = {name: _relate_to_root(file) for name, file in files.items() if file}
    return replace(config, options=replace(config.options, **related)) if related else config


def _relate_to_root(file: str) -> str:
    path = Path(os.path.normpath(PROJECT_ROOT / Path(file).expanduser()))
    below = path.is_relative_to(PROJECT_ROOT)
    return path.relative_to(PROJECT_ROOT).as_posix() if below else str(path)


def load_config(
    name: str = DEFAULT_CONFIG,
    assignments: Sequence[str] = (),
    stored: Mapping[str, Any] | None = None,
    published: str = "",
) -> Config:
    """The settings of a run: defaults, then a YAML, then `--set`.

    Args:
        name: of a YAML in main/configs/, or the path of one.
        assignments: `NAME=VALUE` each.
        stored: the flat config of a snapshot. It takes the place of defaults and YAML, so that a
            network is tested as it was trained; of the YAML only `run` and `test.*` count.
        published: path of an original's experiment file, in the place of the YAML.

    Raises:
        FileNotFoundError: there is no such YAML.
        ValueError: an unknown key or a wrong value; beside `stored`, an assigned option that does
            nothing.
    """
    if published:
        written = read_published_config(published, report=stored is None)
    else:
        path = find_config(name)
        written = {"run": path.stem, **read_differences(path)}
    if stored is not None:
        own = {k: v for k, v in written.items() if k == "run" or k.startswith("test.")}
        written = {**_without_default_view(stored), **own}
    told = parse_assignments(assignments)
    config = build_config({**written, **told})
    if stored is not None:  # of a training all options are looked at, when it begins
        check_unread(config.system, config.options, told)
    return config


def _without_default_view(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config less the view that follows from its options, so that it follows new ones."""
    usual = flatten(build_config({k: v for k, v in stored.items() if not k.startswith("view.")}))
    return {k: v for k, v in stored.items() if not k.startswith("view.") or v != usual.get(k)}


def list_changes(config: Config) -> dict[str, Any]:
    """The run, and what differs from the defaults, flat; `build_config` makes the same of it."""
    usual = flatten(build_config({"system": config.system}))
    own = _without_default_view(flatten(config))
    own = {k: v for k, v in own.items() if v != usual[k] or k.startswith(("run", "view."))}
    return own if config.system == Config.system else {"system": config.system, **own}


def config_names() -> list[str]:
    """The names that `--config` takes, sorted."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml"))


def find_config(name: str) -> Path:
    """The YAML of a config, by its name in main/configs/ or its path.

    Raises:
        FileNotFoundError: there is none.
    """
    for path in (CONFIG_FOLDER / f"{name}.yaml", Path(name)):
        if path.suffix == ".yaml" and path.is_file():
            return path
    nearest = difflib.get_close_matches(name, config_names(), n=1)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"There are {', '.join(config_names())}."
    raise FileNotFoundError(f"--config {name} is neither in main/configs/ nor a .yaml file. {hint}")


def output_folder(config: Config, kind: Literal["log", "model_dump", "result", "vis"]) -> Path:
    """output/<kind>/<dataset>/<run>: the trained data set, for results and pictures the tested."""
    dataset = config.data.trainset[0] if kind in ("log", "model_dump") else config.data.testset
    return PROJECT_ROOT / "output" / kind / dataset / config.run


def find_test_files(config: Config) -> EvaluationFiles:
    """The annotations, pictures and person boxes of a test, or of a validation in training."""
    test = config.test
    return find_evaluation_files(
        PROJECT_ROOT,
        config.data.testset,
        test.split,
        annotations=test.annotations,
        detections=test.detections,
        images=test.images,
        use_gt_box=test.use_gt_box or options_module(config.system).SAMPLE == "image",
        gt_people=test.gt_people,
    )
