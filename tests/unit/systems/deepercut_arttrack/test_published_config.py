"""`pose_cfg.yaml` in our settings: the shipped recipes, and keys that are wrong."""

import pytest
import yaml

import config as main_config
from poseras.data.dataset import choose_skeleton
from poseras.published_config import read_published_config
from poseras.skeleton import Skeleton
from poseras.systems.deepercut_arttrack.options import COCO_GRAPH
from poseras.systems.deepercut_arttrack.published_config import CANDIDATES, recognise, translate
from poseras.systems.deepercut_arttrack.system import System

COCO_TRAIN = {
    "dataset": "/data/COCO",
    "dataset_type": "coco",
    "dataset_phase": "train2014",
    "dataset_ann": "person_keypoints",
    "coco_only_images_with_people": True,
    "net_type": "resnet_101",
    "init_weights": "../../pretrained/resnet_v1_101.ckpt",
    "location_refinement": True,
    "locref_huber_loss": True,
    "locref_loss_weight": 0.05,
    "locref_stdev": 7.2801,
    "pairwise_predict": True,
    "pairwise_huber_loss": True,
    "pairwise_loss_weight": 0.05,
    "pairwise_stats_fn": "pairwise/pairwise_stats.mat",
    "intermediate_supervision": True,
    "intermediate_supervision_layer": 12,
    "pos_dist_thresh": 17,
    "global_scale": 1.0,
    "scale_jitter_lo": 0.85,
    "scale_jitter_up": 1.15,
    "max_input_size": 850,
    "mirror": True,
    "multi_step": [
        *([0.005, 10000], [0.02, 450000], [0.002, 750000]),
        *([0.0005, 1050000], [0.0002, 1550000], [0.00005, 1800000]),
    ],
    "display_iters": 20,
    "save_iters": 200000,
}
DEMO = {
    "dataset_type": "mpii",
    "num_joints": 14,
    "net_type": "resnet_101",
    "init_weights": "models/mpii/mpii-single-resnet-101",
    "location_refinement": True,
    "intermediate_supervision": True,
    "dataset": "",
    "scmap_threshold": 0.4,
}


OWN = {
    "dataset_type": "default",
    "num_joints": 5,
    "all_joints": [[0], [1, 2], [3, 4]],
    "net_type": "resnet_50",
    "dataset": "/data/mine.mat",
}
NAMED = ("data.trainset=Mine", "data.testset=Mine", "data.skeleton=Mine/five")
FIVE = Skeleton("Mine/five", ("nose", "l_eye", "r_eye", "l_ear", "r_ear"), ((1, 2), (3, 4)))


def load(tmp_path, raw, assignments=()):
    path = tmp_path / "pose_cfg.yaml"
    path.write_text(yaml.safe_dump(raw))
    return main_config.load_config(published=str(path), assignments=assignments)


def test_the_shipped_coco_recipe_is_our_config(tmp_path):
    theirs, ours = load(tmp_path, COCO_TRAIN), main_config.load_config("deepercut_coco")
    assert theirs.system == ours.system == "deepercut_arttrack"
    recipe = ("learning_rate", "decay_steps", "decay_factors", "total_steps", "optimizer")
    for name in (*recipe, "batch_size", "weight_decay"):
        assert getattr(theirs.train, name) == pytest.approx(getattr(ours.train, name)), name
    for name in ("depth", "pairwise", "part_radius", "refinement_weight", "pairwise_weight"):
        assert getattr(theirs.options, name) == getattr(ours.options, name), name
    assert theirs.options.supervised_unit == ours.options.supervised_unit == 12
    assert theirs.view.picture_augmentation == ours.view.picture_augmentation
    assert theirs.view.stride == 1 and not theirs.test.flip_test
    assert theirs.data.annotations == "/data/COCO/annotations/person_keypoints_train2014.json"
    assert theirs.data.images == "/data/COCO/images/train2014"
    assert theirs.options.pairwise_statistics == "pairwise/pairwise_stats.mat"
    assert theirs.train.initial_weights.endswith("resnet_v1_101.ckpt")
    assert theirs.test.model_file == ""


def test_the_shipped_mpii_recipe_has_its_scale_and_mirror(tmp_path):
    raw = {**COCO_TRAIN, "dataset_type": "mpii", "dataset": "/crops/dataset.mat"}
    raw |= {"global_scale": 0.8452830189, "pairwise_predict": False}
    theirs, ours = load(tmp_path, raw), main_config.load_config("deepercut_mpii")
    laws = theirs.view.picture_augmentation
    assert laws.scale == pytest.approx(ours.view.picture_augmentation.scale)
    assert laws.mirror_offset_px == ours.view.picture_augmentation.mirror_offset_px == 0
    assert theirs.data.skeleton == ours.data.skeleton == "MPII/mpii_14"
    assert theirs.data.annotations == "/crops/dataset.mat" and theirs.data.trainset == ("MPII",)


def test_a_demo_file_names_the_network_that_is_shown(tmp_path):
    config = load(tmp_path, DEMO)
    assert config.test.model_file == "models/mpii/mpii-single-resnet-101"
    assert not config.options.pairwise and config.train.total_steps == 0


def test_the_pairs_of_the_demo_have_a_name_and_others_are_listed(tmp_path):
    demo = {**COCO_TRAIN, "sparse_graph": [list(pair) for pair in COCO_GRAPH]}
    assert translate(demo).differences["options.sparse_graph"] == "coco_40"
    assert translate(COCO_TRAIN).differences["options.sparse_graph"] == "all"
    turned = {**demo, "sparse_graph": demo["sparse_graph"][::-1]}
    assert translate(turned).differences["options.sparse_graph"] == "coco_40"
    for kind in ("mpii", "penn_action"):  # whose joints are not COCO's
        told = translate({**demo, "dataset_type": kind}).differences
        assert told["options.sparse_graph"] == demo["sparse_graph"]
    config = load(tmp_path, {**COCO_TRAIN, "sparse_graph": [[0, 1], [0, 16]]})
    assert config.options.sparse_graph == ((0, 1), (0, 16))


def test_pairs_that_the_original_never_compares_are_left_out_and_named():
    told = translate({**COCO_TRAIN, "sparse_graph": [[1, 0], [3, 5], [2, 2]]})
    assert told.differences["options.sparse_graph"] == [[3, 5]]
    (note,) = (note for note in told.notes if note.startswith("sparse_graph"))
    assert "sparse_graph: [1, 0], [2, 2] have no effect: the original compares pairs whose" in note


@pytest.mark.parametrize(
    ("kind", "weighs", "expected"),
    [("mpii", True, "present"), ("mpii", False, "all"), ("coco", True, "all")],
)
def test_present_joints_alone_are_learned_where_the_original_weighs_parts(kind, weighs, expected):
    told = {"dataset_type": kind, "weigh_only_present_joints": True}
    translation = translate({**COCO_TRAIN, **told, "weigh_part_predictions": weighs})
    assert translation.differences["options.part_weights"] == expected
    named = "weigh_only_present_joints: True has no effect" in " ".join(translation.notes)
    assert named == (expected == "all")


def test_an_own_data_set_must_be_named(tmp_path):
    with pytest.raises(ValueError, match="data.trainset and data.testset must name folders"):
        load(tmp_path, OWN)
    (note,) = (n for n in translate(OWN).notes if n.startswith("dataset_type"))
    assert "default with 5 joints is a data set of yours: --set data.trainset=NAME" in note
    config = load(tmp_path, OWN, NAMED)
    assert (config.data.trainset, config.data.testset) == (("Mine",), "Mine")
    System(config.options, FIVE)
    uncounted = {k: v for k, v in OWN.items() if k != "num_joints"}
    assert load(tmp_path, uncounted, NAMED).options.joint_count == 5


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"num_joints": 4, "all_joints": [[0], [1, 2], [3]]}, "yaml: 4 joints, mirrored 1-2. Rec"),
        ({"all_joints": [[0, 1], [2], [3, 4]]}, "5 joints, mirrored 0-1, 3-4. Received Mine/five"),
        ({"all_joints": [[0], [1], [2], [3], [4]]}, "none mirrored. Received Mine/five: 5 joints"),
        (
            {"num_joints": 4, "all_joints": []},
            "4 joints. Received Mine/five: 5 joints, mirrored 1-2",
        ),
    ],
)
def test_a_data_set_of_other_joints_than_the_file_tells_is_refused(tmp_path, told, message):
    options = load(tmp_path, {**OWN, **told}, NAMED).options
    with pytest.raises(ValueError, match=message):
        System(options, FIVE)


@pytest.mark.parametrize(("count", "name"), [(14, "MPII/mpii_14"), (17, "COCO")])
def test_fourteen_and_seventeen_joints_are_mpiis_and_cocos_if_they_mirror_alike(
    tmp_path, project_root, count, name
):
    groups = {
        14: [[0, 5], [1, 4], [2, 3], [6, 11], [7, 10], [8, 9], [12], [13]],
        17: [[0], *([a + 1, a] for a in range(1, 17, 2))],
    }[count]
    config = load(tmp_path, {**OWN, "num_joints": count, "all_joints": groups})
    skeleton = choose_skeleton(project_root, config.data.trainset, config.data.skeleton)
    assert config.data.skeleton == name and skeleton.joint_count == count
    System(config.options, skeleton)
    pairs = [[joint, joint + 1] for joint in range(0, count - 1, 2)]
    other = {**OWN, "num_joints": count, "all_joints": pairs + [[count - 1]] * (count % 2)}
    with pytest.raises(ValueError, match="must be that of num_joints and all_joints.*mirrored 0-1"):
        System(load(tmp_path, other).options, skeleton)


def test_the_scale_varies_where_both_ends_are_given():
    for end in ("lo", "up"):
        told = translate({**OWN, "global_scale": 0.8, f"scale_jitter_{end}": 0.9})
        assert told.differences["view.picture_augmentation.scale"] == [0.8, 0.8]
        notes = " ".join(told.notes)
        assert f"scale_jitter_{end}: 0.9 has no effect: the original varies the scale" in notes
    both = translate({**OWN, "global_scale": 0.8, "scale_jitter_lo": 0.5, "scale_jitter_up": 2})
    assert both.differences["view.picture_augmentation.scale"] == [0.4, 1.6]
    assert "scale_jitter" not in " ".join(both.notes)


def test_numbers_without_a_point_are_numbers_though_yaml_takes_them_for_text(tmp_path):
    keys = ("locref_stdev", "locref_loss_weight", "pairwise_loss_weight", "pos_dist_thresh")
    keys += ("nms_radius", "global_scale", "batch_size", "intermediate_supervision_layer")
    path = tmp_path / "pose_cfg.yaml"
    lines = [f"{key}: 7e0" for key in keys] + ["display_iters: 5e1", "mean_pixel: [1e2, 9e1, 80]"]
    lines.append("multi_step: [[5e-3, 1e4], [2e-2, 4e4]]")
    raw = {k: v for k, v in COCO_TRAIN.items() if f"{k}:" not in " ".join(lines)}
    path.write_text(yaml.safe_dump(raw) + "\n".join(lines))
    config = main_config.load_config(published=str(path))
    options = config.options
    read = (options.refinement_deviation, options.refinement_weight, options.pairwise_weight)
    read += (options.part_radius, options.nms_radius, options.statistics_scale)
    assert (*read, config.train.batch_size, options.intermediate_unit) == (7,) * len(keys)
    assert config.train.decay_steps == (10001,) and config.train.total_steps == 40001
    assert config.train.log_every == 50 and options.pixel_mean == (100, 90, 80)


def test_more_candidates_are_considered_than_by_default_and_a_note_says_how_many():
    told = translate(COCO_TRAIN)
    assert told.differences["options.candidates"] == CANDIDATES > 100
    assert f"at most {CANDIDATES} candidates of a joint are considered" in " ".join(told.notes)
    assert "candidates" not in " ".join(translate(DEMO).notes)


def test_each_kind_of_vectors_has_its_own_huber_flag():
    told = translate({**COCO_TRAIN, "pairwise_huber_loss": False}).differences
    assert told["options.huber"] is True and told["options.pairwise_huber"] is False


def test_an_order_that_is_not_shuffled_is_not_to_be_had():
    notes = " ".join(translate({**COCO_TRAIN, "shuffle": False}).notes)
    assert "shuffle: False has no effect: training pictures are always shuffled" in notes
    assert "shuffle" not in " ".join(translate({**COCO_TRAIN, "shuffle": True}).notes)


def test_adam_has_one_rate():
    told = translate({**COCO_TRAIN, "optimizer": "adam", "adam_lr": 1e-3}).differences
    assert told["train.learning_rate"] == 1e-3 and told["train.decay_steps"] == []
    assert told["train.total_steps"] == 1800001


def test_keys_without_effect_are_named():
    notes = " ".join(translate({**COCO_TRAIN, "weight_decay": 0.01, "use_gt_segm": True}).notes)
    assert "use_gt_segm: True has no effect: test.true_masks=true reads people inside" in notes
    assert "weight_decay: 0.01 has no effect: the original never adds it" in notes
    assert "save_iters" in notes and "net_type" not in notes
    assert "max_input_size: 850 has another effect: in training larger pictures are shrunk" in notes


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"net_typ": "x"}, "unknown key net_typ. Did you mean net_type"),
        ({"crop": True}, "crop must be one of False here. Received True"),
        ({"video": True}, "video must be one of False"),
        ({"net_type": "mobilenet"}, "net_type must be one of 'resnet_50', 'resnet_101'"),
        ({"multi_step": [0.005]}, r"multi_step must be a list of pairs.*Received \[0.005\]"),
        (
            {"multi_step": [[0, 10], [0.02, 20]]},
            "rates above 0, and iterations that rise. Received",
        ),
        ({"multi_step": [[0.1, 20], [0.02, 20]]}, "rates above 0, and iterations that rise"),
        ({"locref_stdev": "wide"}, "locref_stdev must be a number. Received 'wide'"),
        ({"display_iters": 2.5}, "display_iters must be a whole number. Received 2.5"),
        ({"mean_pixel": 5}, "mean_pixel must be three numbers, of red, green and blue; not 5"),
        ({"sparse_graph": [[0, 1], [0]]}, r"list of pairs of joints \[0, 1\].* among them \[0\]"),
        ({"sparse_graph": 5}, "list of pairs of joints .* among them 5"),
        ({"sparse_graph": [[0, "nose"]]}, r"list of pairs of joints .* among them \[0, 'nose'\]"),
        ({"sparse_graph": [[3, 1]]}, r"\[\[3, 1\]\], of which the original compares nothing"),
        ({"max_input_size": None}, "max_input_size must be a number. Received None"),
        ({"all_joints": [[0], [1, 2, 3]]}, r"all_joints must be a list of single joints \[0\] and"),
        ({"all_joints": 5}, "Received 5 with num_joints 0"),
        (
            {"all_joints": [[0], [2]]},
            r"each of num_joints once.*\[\[0\], \[2\]\] with num_joints 2",
        ),
        ({"all_joints": [[0], [0]]}, "each of num_joints once, from 0 on"),
        ({"all_joints": [[0], [1]], "num_joints": 3}, "with num_joints 3"),
        ({"num_joints": "many"}, "num_joints must be a number. Received 'many'"),
    ],
)
def test_what_cannot_be_had_is_refused(more, message):
    with pytest.raises(ValueError, match=message):
        translate({**COCO_TRAIN, **more})


def test_only_files_of_the_original_are_claimed(tmp_path):
    assert recognise(COCO_TRAIN) and recognise(DEMO)
    assert not recognise({"MODEL": {}, "DATASET": {}}) and not recognise([1])
    path = tmp_path / "pose_cfg.yaml"
    path.write_text(yaml.safe_dump(DEMO))
    assert read_published_config(path)["system"] == "deepercut_arttrack"


def test_a_resnet_50_with_the_twelfth_unit_is_refused_by_its_units(tmp_path):
    with pytest.raises(ValueError, match="ResNet-50 has 6 units"):
        load(tmp_path, {**COCO_TRAIN, "net_type": "resnet_50"})
