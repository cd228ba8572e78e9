"""From network outputs to result records, against TF-SimpleHumanPose's test program."""

from types import SimpleNamespace

import numpy as np
import pytest

from poseras import geometry
from poseras.codecs.heatmap import decode_heatmaps, merge_flipped
from poseras.data.dataset import load_dataset
from poseras.engine import rescoring
from poseras.skeleton import Skeleton

MAPS, CASES = "simple_baselines/decode.npz", "simple_baselines/decode.json"
# Constants of the test program, which the cases were made with.
KEYPOINT_THRESHOLD, OKS_THRESHOLD = 0.2, 0.9


def flip_permutation(case) -> np.ndarray:
    pairs = tuple((a, b) for a, b in case["kps_symmetry"])
    names = tuple(str(joint) for joint in range(case["num_kps"]))
    return Skeleton("case", names, flip_pairs=pairs).flip_permutation


def merged_maps(golden, tag) -> np.ndarray:
    case, cases = golden.load(CASES)[tag], golden.load(MAPS)
    maps = cases[f"{tag}_heatmap_x64"].astype(np.float32) / 64
    if not case["flip_test"]:
        return maps
    flipped = cases[f"{tag}_flipped_heatmap_x64"].astype(np.float32) / 64
    return np.array(merge_flipped(maps, flipped, flip_permutation(case)))


def decoded_people(golden, tag) -> SimpleNamespace:
    """Keypoints in image pixels, their scores, and the areas of the enlarged boxes."""
    case = golden.load(CASES)[tag]
    input_hw = tuple(case["input_shape"])
    points, scores = decode_heatmaps(merged_maps(golden, tag), input_hw=input_hw)
    boxes = np.array([detection["bbox"] for detection in case["dets"]], np.float32)
    grown = geometry.expand_box(boxes, input_hw[1] / input_hw[0])
    network_to_image = geometry.invert_affine(geometry.view_matrix(grown, input_hw))
    return SimpleNamespace(
        keypoints_px=geometry.transform_points(np.array(points, np.float64), network_to_image),
        keypoint_scores=np.array(scores),
        areas=grown[:, 2].astype(np.float64) * grown[:, 3],
    )


def person_scores(case, people) -> np.ndarray:
    if case["dataset"] == "COCO":
        box_scores = [detection["score"] for detection in case["dets"]]
        return rescoring.rescore_coco(box_scores, people.keypoint_scores, KEYPOINT_THRESHOLD)
    return rescoring.rescore_posetrack(people.keypoint_scores)


def keep_people(project_root, image_ids, keypoints_px, scores, areas) -> np.ndarray:
    """Rows after OKS NMS."""
    return rescoring.keep_after_nms(
        image_ids,
        keypoints_px,
        scores,
        areas,
        # The original has COCO's sigmas alone and takes them for PoseTrack too.
        sigmas=load_dataset(project_root, "COCO").skeleton.oks_sigmas,
        threshold=OKS_THRESHOLD,
    )


def records_of(case, people, project_root) -> list[dict]:
    """What the test program writes: MPII as it comes, the others after rescoring and OKS NMS."""
    image_ids = np.array([detection["image_id"] for detection in case["dets"]])
    scores = person_scores(case, people)
    rows = np.arange(len(scores))
    if case["dataset"] != "MPII":
        rows = keep_people(project_root, image_ids, people.keypoints_px, scores, people.areas)
    make = {
        "COCO": lambda row: rescoring.coco_record(
            image_ids[row], people.keypoints_px[row], scores[row]
        ),
        "PoseTrack": lambda row: rescoring.posetrack_record(
            image_ids[row], people.keypoints_px[row], people.keypoint_scores[row]
        ),
        "MPII": lambda row: rescoring.mpii_record(
            image_ids[row], people.keypoints_px[row], people.keypoint_scores[row]
        ),
    }[case["dataset"]]
    return [make(row) for row in rows]


@pytest.mark.golden(MAPS, keys=r"(?P<tag>.+)_merged_mean_std")
def test_merged_maps_equal_the_flip_test(golden, tag):
    assert tag, f"{MAPS} holds no merged maps"
    merged, cases = merged_maps(golden, tag), golden.load(MAPS)
    statistics = np.stack([merged.mean(axis=(1, 2, 3)), merged.std(axis=(1, 2, 3))], axis=-1)
    # Inputs are 64ths, so the average is exact; the statistics are float32 sums.
    np.testing.assert_allclose(statistics, cases[f"{tag}_merged_mean_std"], rtol=0, atol=1e-4)
    if f"{tag}_merged_first" in cases:
        first = cases[f"{tag}_merged_first"]
        np.testing.assert_allclose(merged[: len(first)], first, rtol=0, atol=1e-4)


@pytest.mark.golden(MAPS, keys=r"(?P<tag>.+(?<!_flipped))_heatmap_x64")
def test_records_equal_those_of_the_test_program(golden, tag, project_root):
    assert tag, f"{MAPS} holds no heatmaps"
    case = golden.load(CASES)[tag]
    records = records_of(case, decoded_people(golden, tag), project_root)
    assert len(records) == len(case["results"])
    for ours, theirs in zip(records, case["results"], strict=True):
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"keypoints", "score", "scores"}:
            assert ours[key] == theirs[key]
        # Records are rounded to 3 and 4 decimals: one step either way, and float32 before it.
        np.testing.assert_allclose(ours["keypoints"], theirs["keypoints"], rtol=0, atol=2e-3)
        for key in ours.keys() & {"score", "scores"}:
            np.testing.assert_allclose(ours[key], theirs[key], rtol=0, atol=1.001e-4)


@pytest.mark.golden(MAPS, keys=r"(?P<tag>.+(?<!_flipped))_heatmap_x64")
def test_what_reaches_and_leaves_oks_nms_equals_the_recorded_calls(golden, tag, project_root):
    assert tag, f"{MAPS} holds no heatmaps"
    case = golden.load(CASES)[tag]
    people = decoded_people(golden, tag)
    scores = person_scores(case, people)
    image_ids = np.array([detection["image_id"] for detection in case["dets"]])
    images = [] if case["dataset"] == "MPII" else list(dict.fromkeys(image_ids.tolist()))
    for image_id, call in zip(images, case["oks_nms_calls"], strict=True):
        rows = np.flatnonzero(image_ids == image_id)
        keypoints = np.reshape(call["keypoints"], (len(rows), -1, 3))
        # float32 coordinates of some hundred pixels.
        np.testing.assert_allclose(people.keypoints_px[rows], keypoints[..., :2], rtol=0, atol=1e-3)
        assert (keypoints[..., 2] == 1).all()
        np.testing.assert_allclose(scores[rows], call["scores"], rtol=1e-5)
        np.testing.assert_allclose(people.areas[rows], call["areas"], rtol=1e-5)
        kept = keep_people(
            project_root,
            image_ids[rows],
            people.keypoints_px[rows],
            scores[rows],
            people.areas[rows],
        )
        assert kept.tolist() == call["keep"]
