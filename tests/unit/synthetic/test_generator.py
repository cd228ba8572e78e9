import json
import os
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from poseras import files
from poseras.synthetic import generator
from poseras.synthetic.coco_records import detection_entries
from poseras.synthetic.generator import Settings, generate
from poseras.synthetic.scene import make_scene

SMALL = Settings(train=5, val=2, sequences=1, frames=3, difficulty=("easy", "standard"), seed=7)


@pytest.fixture(scope="module", autouse=True)
def small_chunks(assets):
    """Chunks of two pictures, so that a small set has several."""
    patch = pytest.MonkeyPatch()
    patch.setattr(generator, "_CHUNK", 2)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def made(assets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "Synthetic"
    assert generate(folder, SMALL)
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def read(folder, split):
    return json.loads((folder / "annotations" / f"{split}.json").read_text())


def test_two_processes_make_the_same_bytes_as_one(made, tmp_path):
    generate(tmp_path / "Synthetic", SMALL, processes=2)
    assert contents(tmp_path / "Synthetic") == contents(made)


def test_all_splits_are_there_with_their_pictures(made):
    for split, count in (("train", 5), ("val", 2), ("sequences", 3)):
        images = read(made, split)["images"]
        assert len(images) == count
        for image in images:
            picture = cv2.imread(str(made / "images" / split / image["file_name"]))
            assert picture.shape == (image["height"], image["width"], 3) == (480, 640, 3)


def test_ids_are_unique_over_all_splits(made):
    images = [
        image["id"] for s in ("train", "val", "sequences") for image in read(made, s)["images"]
    ]
    people = [p["id"] for s in ("train", "val", "sequences") for p in read(made, s)["annotations"]]
    assert len(set(images)) == len(images) and len(set(people)) == len(people)


def test_keypoints_are_the_projections_of_the_joints(made):
    content = read(made, "train")
    cameras = {image["id"]: image["camera"] for image in content["images"]}
    for person in content["annotations"]:
        camera = cameras[person["image_id"]]
        for points, joints in (
            ("keypoints", "joints_camera_mm"),
            ("keypoints_h36m_18", "joints_camera_mm_h36m_18"),
        ):
            keypoints = np.array(person[points]).reshape(-1, 3)
            space = np.array(person[joints])
            px = space[:, :2] / space[:, 2:] * camera["f"] + camera["c"]
            labelled = keypoints[:, 2] > 0
            # both are rounded to thousandths
            assert np.abs(px - keypoints[:, :2])[labelled].max(initial=0) < 0.01


def test_segmentation_box_and_area_tell_of_the_same_pixels(made):
    for person in read(made, "train")["annotations"]:
        mask = coco_mask.decode(person["segmentation"])
        assert mask.sum() == person["area"]
        np.testing.assert_array_equal(coco_mask.toBbox(person["segmentation"]), person["bbox"])


def test_pycocotools_reads_the_annotations(made, capsys):
    coco = COCO(str(made / "annotations" / "train.json"))
    assert coco.getCatIds(["person"]) == [1]
    person = coco.loadAnns(coco.getAnnIds())[0]
    assert coco.annToMask(person).sum() == person["area"]
    assert person["num_keypoints"] == np.count_nonzero(person["keypoints"][2::3])


def test_people_keep_their_track_through_a_clip(made):
    content = read(made, "sequences")
    frames = {image["id"]: image["frame_id"] for image in content["images"]}
    assert [image["video_id"] for image in content["images"]] == [1, 1, 1]
    by_track = {}
    for person in content["annotations"]:
        joints = np.array(person["joints_camera_mm"])
        by_track.setdefault(person["track_id"], {})[frames[person["image_id"]]] = joints
    assert by_track
    for places in by_track.values():
        for frame in set(places) & {f - 1 for f in places}:
            step = np.linalg.norm(places[frame + 1] - places[frame], axis=1)
            assert 0 < step.max() < 700, "nobody jumps within a twenty-fifth of a second"


def test_detections_are_near_the_people_and_scores_are_sensible(made):
    detections = json.loads((made / "dets" / "human_detection.json").read_text())
    scores = {True: [], False: []}
    for split in ("train", "val", "sequences"):
        for person in read(made, split)["annotations"]:
            boxes = [d for d in detections if d["image_id"] == person["image_id"]]
            overlaps = coco_mask.iou([d["bbox"] for d in boxes], [person["bbox"]], [0])
            for detection, overlap in zip(boxes, np.ravel(overlaps), strict=True):
                scores[bool(overlap > 0.6)].append(detection["score"])
    assert len(scores[True]) >= 5
    assert all(0 < d["score"] < 1 and min(d["bbox"][2:]) >= 1 for d in detections)
    assert np.mean(scores[True]) > 0.7


def test_detections_miss_some_people_find_some_twice_and_some_boxes_hold_nobody(assets):
    scene = make_scene(assets, seed=1, index=0, difficulty="easy")
    (person,) = scene.people
    rng, draws = np.random.default_rng(0), 800
    found, empty, scores = np.zeros(3), 0, []
    for _ in range(draws):
        boxes = detection_entries(rng, scene, 1)
        corners = np.array([box["bbox"] for box in boxes], float).reshape(-1, 4)
        overlaps = coco_mask.iou(corners, np.array([person.box_xywh], float), [0])
        on_person = np.ravel(overlaps) > 0.5
        found[min(int(on_person.sum()), 2)] += 1
        empty += int((~on_person).sum())
        scores += [box["score"] for box, hit in zip(boxes, on_person, strict=True) if not hit]
    # of the program: 2 % missed, 6 % twice, 0.3 a picture that hold nobody
    np.testing.assert_allclose(found / draws, [0.02, 0.92, 0.06], atol=0.03)
    assert empty / draws == pytest.approx(0.3, abs=0.08)
    assert np.mean(scores) < 0.4


def test_a_complete_set_is_left_alone(made):
    before = contents(made)
    assert not generate(made, SMALL)
    assert contents(made) == before


def test_a_set_of_other_settings_is_not_touched_without_force(made, tmp_path):
    folder = tmp_path / "Synthetic"
    generate(folder, Settings(train=1, val=0, difficulty=("easy",)))
    before = contents(folder)
    other = Settings(train=1, val=0, difficulty=("easy",), seed=1)
    with pytest.raises(ValueError, match="other settings: seed 0 instead of 1.*--force"):
        generate(folder, other)
    assert contents(folder) == before
    generate(folder, other, force=True)
    assert contents(folder) != before


def test_a_set_of_which_something_was_deleted_is_made_whole_again(tmp_path):
    folder, settings = tmp_path / "Synthetic", Settings(train=1, val=1, difficulty=("easy",))
    generate(folder, settings)
    before = contents(folder)
    for name in ("images/val/000001000001.jpg", "annotations/train.json"):
        (folder / name).unlink()
        assert generate(folder, settings)
        assert contents(folder) == before


def test_folders_may_be_links_to_empty_ones(tmp_path):
    folder = tmp_path / "Synthetic"
    folder.mkdir()
    for name in ("images", "annotations", "dets"):
        (tmp_path / "disk" / name).mkdir(parents=True)
        (folder / name).symlink_to(tmp_path / "disk" / name)
    generate(folder, Settings(train=1, val=0, difficulty=("easy",)))
    assert [path.name for path in (tmp_path / "disk" / "images").rglob("*.jpg")] == [
        "000000000001.jpg"
    ]


def plant_set(folder, settings):
    """What a complete set looks like, without the drawing."""
    for name in ("images/train/1.jpg", "annotations/train.json", "dets/human_detection.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    found = {"settings": settings.to_record(), "complete": True}
    (folder / "annotations" / generator.SETTINGS_FILE).write_text(json.dumps(found))


@pytest.mark.parametrize("link", ["images", "images/train", "annotations/train.json", "dets"])
def test_force_deletes_nothing_behind_links(tmp_path, link):
    folder = tmp_path / "Synthetic"
    plant_set(folder, Settings(train=1))
    (folder / link).rename(tmp_path / "elsewhere")
    (folder / link).symlink_to(tmp_path / "elsewhere")
    before = contents(tmp_path)
    with pytest.raises(
        ValueError, match=rf"behind links\. Received .*{link}, which leads to .*else"
    ):
        generate(folder, Settings(train=2), force=True)
    assert contents(tmp_path) == before


def test_force_deletes_what_this_program_made_and_nothing_else(tmp_path):
    plant_set(tmp_path, Settings(train=1))
    for name in ("images/mine.jpg", "annotations/person_keypoints_val2017.json", "dataset.yaml"):
        (tmp_path / name).write_text("mine")
    generate(tmp_path, Settings(train=0, val=0), force=True)
    assert sorted(contents(tmp_path)) == [
        "annotations/generation.json",
        "annotations/person_keypoints_val2017.json",
        "dataset.yaml",
        "dets/human_detection.json",
        "images/mine.jpg",
    ]
    assert json.loads((tmp_path / "dets" / "human_detection.json").read_text()) == []


@pytest.mark.parametrize(
    "settings_file", [None, "{}", "[1]", "no JSON", '{"settings": 1, "complete": true}']
)
def test_force_does_not_touch_a_data_set_of_somebody_else(tmp_path, settings_file):
    for name in ("images/val2017/1.jpg", "annotations/train.json", "dets/human_detection.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    if settings_file:
        (tmp_path / "annotations" / generator.SETTINGS_FILE).write_text(settings_file)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="did not make, which --force does not delete"):
        generate(tmp_path, Settings(train=1, val=0), force=True)
    assert contents(tmp_path) == before


def test_more_pictures_than_there_are_ids_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"train must have at most 1,000,000 .* 1,000,001"):
        generate(tmp_path / "Synthetic", Settings(train=1_000_001))
    assert not (tmp_path / "Synthetic").exists()


def test_files_of_somebody_else_are_not_touched(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.jpg").write_text("mine")
    with pytest.raises(ValueError, match="that this program did not make"):
        generate(tmp_path, Settings(train=1, val=0))
    assert (tmp_path / "images" / "mine.jpg").read_text() == "mine"


class Stop(Exception):
    pass


def test_an_interrupted_set_goes_on_and_ends_the_same(made, tmp_path):
    folder, drawn = tmp_path / "Synthetic", []

    def stop_after_three(done, total):
        if done >= 3:
            raise Stop

    with pytest.raises(Stop):
        generate(folder, SMALL, on_progress=stop_after_three)
    assert not (folder / "annotations" / "train.json").exists()
    with pytest.raises(ValueError, match="other settings"):
        generate(folder, Settings(train=5, val=2))
    earlier = f"{files._host()}-{os.getpid()}-0a1b-0{files.UNFINISHED}"  # and had this number
    killed = folder / "images" / "train" / f".000000000005.jpg.{earlier}"
    killed.mkdir()
    (killed / "000000000005.jpg").write_text("of a killed process")
    generate(folder, SMALL, on_progress=lambda done, total: drawn.append(done))
    assert drawn[0] >= 3, "what was whole is not drawn again"
    assert contents(folder) == contents(made)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="must be a folder that can be written.*--output"):
        generate(tmp_path / "file" / "Synthetic", Settings(train=1, val=0))


#: A pool of the generator, whose only worker says who it is and then has a long job.
POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from poseras.synthetic.generator import _start_worker
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, context, initializer=_start_worker)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 100).result()
"""


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_no_worker_outlives_a_program_that_was_killed(tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    command = [sys.executable, str(tmp_path / "pool.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        worker = int(program.stdout.readline())
        assert is_alive(worker)
        program.kill()
    deadline = time.monotonic() + 30
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(worker)
