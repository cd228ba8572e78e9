import json

import pytest

import command_line
import config as main_config
import train
from poseras.settings import flatten, list_settings


def load(*assignments, **keywords):
    return main_config.load_config(main_config.DEFAULT_CONFIG, assignments, **keywords)


def test_without_config_the_recipe_is_the_published_one_for_coco():
    config = load()
    assert config == main_config.build_config({"run": main_config.DEFAULT_CONFIG})
    assert (config.options.depth, config.options.input_shape) == (50, (256, 192))
    assert config.data.trainset == ("COCO",) and config.data.testset == "COCO"
    train = config.train
    assert (train.end_epoch, train.decay_epochs, train.decay_factor) == (140, (90, 120), 10)
    assert (train.optimizer, train.learning_rate, train.weight_decay) == ("adam", 5e-4, 1e-5)
    assert (train.batch_size, train.initial_weights) == (32, "imagenet")
    augmentation = config.view.augmentation
    assert (augmentation.scale_std, augmentation.rotation_std_deg) == (0.3, 40)
    assert (augmentation.rotation_probability, augmentation.flip_probability) == (0.6, 0.5)
    test = config.test
    assert (test.flip_test, test.use_gt_box, test.batch_size) == (True, False, 32)
    assert (test.keypoint_threshold, test.oks_nms_threshold) == (0.2, 0.9)


def test_single_settings_change_what_they_name():
    config = load("train.batch_size=16", "data.trainset=COCO,MPII", "options.sigma=3", "run=other")
    assert config.train.batch_size == 16 and config.data.trainset == ("COCO", "MPII")
    assert config.options.sigma == 3.0 and config.run == "other"


def test_the_view_follows_the_options_unless_it_is_set():
    assert load("options.input_shape=384,288").view.size_hw == (384, 288)
    assert load("view.margin=1.1", "options.input_shape=384,288").view.margin == 1.1


def test_a_config_goes_through_json_and_back():
    config = load("view.augmentation.flip_probability=0.25", "train.learning_rate=1e-3")
    assert main_config.build_config(json.loads(json.dumps(flatten(config)))) == config


def test_every_setting_says_what_it_means():
    silent = [s.key for s in list_settings(load()) if not s.meaning]
    assert not silent


def test_a_snapshot_is_tested_as_it_was_trained():
    stored = flatten(load("options.depth=101", "view.margin=1.1", "train.batch_size=8", "run=old"))
    config = load("test.flip_test=false", "options.input_shape=384,288", stored=stored)
    assert config.options.depth == 101 and config.train.batch_size == 8
    assert config.view.margin == 1.1 and config.view.size_hw == (384, 288)
    assert not config.test.flip_test and config.run == main_config.DEFAULT_CONFIG


def test_test_settings_of_the_yaml_win_over_those_stored_but_its_options_do_not(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("options.depth: 152\ntest.flip_test: false\n")
    stored = flatten(load())
    config = main_config.load_config(str(path), [], stored)
    assert config.options.depth == 50 and not config.test.flip_test and config.run == "mine"


def test_a_stored_option_that_nothing_reads_is_kept_and_one_that_is_told_is_refused():
    stored = {**flatten(load()), "options.keep_inside": True, "options.gau.width": 128}
    config = load("options.decoder=dark", stored=stored)
    assert config.options.keep_inside and config.options.gau.width == 128
    assert not load("options.keep_inside=false", stored=stored).options.keep_inside
    with pytest.raises(ValueError, match="options.gau.width does nothing with the head deconvol"):
        load("options.gau.width=64", stored=stored)


def test_a_data_set_that_stands_twice_stops_a_training_and_no_test():
    stored = flatten(load("data.trainset=COCO,MPII,COCO"))
    config = load(stored=stored)
    assert load("data.trainset=COCO", stored=stored).data.trainset == ("COCO",)
    with pytest.raises(ValueError, match="data.trainset must name each value once. .* COCO"):
        train.train_network(config, None, resume=False, draw=0)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.batchsize=1", r"Unknown setting train.batchsize. Did you mean train.batch_size\?"),
        ("options.input_shap=1", r"Unknown setting .*Did you mean options.input_shape\?"),
        ("system=resnet", "system must be one of .*simple_baselines.*Received 'resnet'"),
        ("train.batch_size=0", "train.batch_size must be at least 1. Received 0."),
        ("train.decay_epochs=120,90", r"train.decay_epochs must ascend .* Received \[120, 90\]"),
        ("train.decay_epochs=-1,90", r"train.decay_epochs must ascend from 0 on"),
        ("train.decay_steps=5,3", r"train.decay_steps must ascend .* Received \[5, 3\]"),
        ("train.decay_factors=0.1", "train.decay_factors must have one share for each of 2 decay"),
        ("train.decay_factors=1,0", "train.decay_factors must be positive"),
        ("train.decay_factor=0", "train.decay_factor must be positive. Received 0.0"),
        ("train.learning_rate=0", "train.learning_rate must be positive. Received 0.0"),
        ("train.total_steps=-5", "train.total_steps must be at least 0. Received -5"),
        ("train.warmup_steps=-5", "train.warmup_steps must be at least 0. Received -5"),
        ("train.end_epoch=0", "train.end_epoch must be at least 1. Received 0"),
        ("train.flat_fraction=2", "train.flat_fraction must be at least 0 and below 1"),
        ("train.flat_fraction=0.5", "train.flat_fraction is for the schedule cosine"),
        ("train.final_fraction=2", "train.final_fraction must be in 0..1"),
        ("train.layer_decay=0", "train.layer_decay must be above 0 and at most 1"),
        ("train.ema_decay=1", "train.ema_decay must be below 1. Received 1.0"),
        ("train.momentum=1", "train.momentum must be below 1. Received 1.0"),
        ("train.accumulate_steps=0", "train.accumulate_steps must be at least 1. Received 0"),
        ("train.peer_timeout_s=-1", "train.peer_timeout_s must be at least 0. Received -1.0"),
        ("test.scales=1,0", "test.scales must be positive, and 1 among them.* Received 1.0,0.0"),
        ("test.scales=0.5", "test.scales must be positive, and 1 among them"),
        ("test.scales=1,1", "test.scales must name each value once. Received 1.0 more than once"),
        ("view.margin=-1", "view.margin must be positive. Received -1.0"),
        ("view.factor=0", "view.factor must be positive. Received 0.0"),
        ("view.length=0", "view.length must be at least 1. Received 0"),
        ("view.stride=0", "view.stride must be at least 1. Received 0"),
        ("view.size_hw=0,192", "view.size_hw must be a positive height and width"),
        ("view.border_rgb=0,0,256", "view.border_rgb must be in 0..255"),
        ("seed=-1", "seed must be in 0..4294967295. Received -1"),
        ("seed=4294967296", "seed must be in 0..4294967295"),
        ("data.trainset=[]", "data.trainset and data.testset must name folders"),
        ("run=../x", "run must be a folder name"),
        ("test.evaluator=slow", "test.evaluator must be one of pycocotools, fast, both"),
    ],
)
def test_a_wrong_setting_is_refused(assignment, message):
    with pytest.raises(ValueError, match=message):
        load(assignment)


def test_an_unknown_config_names_the_nearest():
    with pytest.raises(FileNotFoundError, match="Did you mean simple_baselines_coco_resnet101_"):
        main_config.load_config("simple_baseline_coco_resnet101")


def test_outputs_lie_under_the_data_set_and_the_run(project_root):
    config = load("data.testset=MPII", "run=other")
    output = project_root / "output"
    assert main_config.output_folder(config, "model_dump") == output / "model_dump/COCO/other"
    assert main_config.output_folder(config, "result") == output / "result/MPII/other"


def test_list_settings_prints_every_setting_even_without_required_arguments(capsys):
    with pytest.raises(SystemExit) as end:
        command_line.parse_arguments(
            command_line.test_parser(), ["--list-settings", "--set", "train.batch_size=7"]
        )
    assert end.value.code in (0, None)
    printed = capsys.readouterr().out
    assert "train.batch_size = 7\n    people per device" in printed
    for setting in list_settings(load()):
        assert f"{setting.key} = " in printed


@pytest.mark.parametrize("gpu", ["0-1", "0,1", "0", "2-", "-2", "cpu"])
def test_every_form_of_gpu_passes_the_command_line(gpu):
    arguments = command_line.parse_arguments(
        command_line.train_parser(), ["--gpu", gpu, "--continue", "--set", "a=1", "b=2"]
    )
    assert arguments.gpu == gpu and arguments.resume and arguments.set == ["a=1", "b=2"]


def test_test_and_demo_read_their_own_arguments():
    tested = command_line.parse_arguments(command_line.test_parser(), ["--test_epoch", "140"])
    assert tested.test_epoch == 140 and tested.config == main_config.DEFAULT_CONFIG
    shown = command_line.parse_arguments(
        command_line.demo_parser(), ["--input", "a.jpg", "--output", "b"]
    )
    assert (shown.input, shown.output, shown.detections) == ("a.jpg", "b", None)
    with pytest.raises(SystemExit) as end:
        command_line.parse_arguments(command_line.demo_parser(), [])
    assert end.value.code == 2


def test_flags_of_the_originals_are_settings(tmp_path):
    arguments = ["--flip-test", "--model-file", "a.pth.tar", "--set", "seed=1"]
    chosen = command_line.parse_arguments(command_line.test_parser(), arguments)
    assert chosen.model_file == "a.pth.tar" and chosen.test_epoch is None
    assert sorted(chosen.set) == ["seed=1", "test.flip_test=true"]
    assert load(*chosen.set).test.flip_test
    assert command_line.parse_arguments(command_line.test_parser(), []).set == []


@pytest.mark.parametrize(
    "differences",
    [
        {},
        {"run": "a", "train.batch_size": 8, "options.input_shape": [384, 288]},
        {"view.margin": 1.1, "options.input_shape": [384, 288]},
        {"options.input_shape": [384, 288], "view.size_hw": [256, 192]},
        {"system": "simplepose_v2", "options.backbone_width": 32, "view.length": 384},
    ],
)
def test_what_differs_from_the_defaults_makes_the_config_again(differences):
    config = main_config.build_config(differences)
    changes = main_config.list_changes(config)
    assert main_config.build_config(changes) == config
    assert changes == {"run": config.run, **differences}
