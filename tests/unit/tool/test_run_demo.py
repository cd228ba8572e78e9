import json

import pytest

import run_demo


def test_a_step_is_done_once_while_its_inputs_stay(tmp_path, capsys):
    calls = []
    for inputs in ("one", "one", "two"):
        stages = run_demo.Stages(tmp_path / "demo.json", inputs)
        assert stages.run("people", lambda: calls.append(1) or len(calls)) == len(calls)
    assert len(calls) == 2
    assert "= people: nothing changed" in capsys.readouterr().out


def test_a_step_whose_product_is_gone_is_done_again(tmp_path):
    product, calls = tmp_path / "sheet.jpg", []

    def draw():
        calls.append(1)
        product.write_bytes(b"x")

    for gone in (False, False, True):
        if gone:
            product.unlink()
        run_demo.Stages(tmp_path / "demo.json", "one").run("pictures", draw, (product,))
    assert len(calls) == 2


def test_a_step_that_failed_is_not_remembered(tmp_path):
    def fail():
        raise SystemExit(2)

    with pytest.raises(SystemExit):
        run_demo.Stages(tmp_path / "demo.json", "one").run("training", fail)
    assert run_demo.Stages(tmp_path / "demo.json", "one").run("training", lambda: 7) == 7


def pose(image_id, x, y):
    return {"image_id": image_id, "keypoints": [x, y, 1.0, x + 10, y, 1.0]}


def test_a_person_is_shown_with_the_nearest_pose_of_its_picture():
    person = {"image_id": 1, "bbox": [0, 0, 30, 40], "keypoints": [5, 5, 2, 15, 5, 2]}
    poses = [pose(2, 5, 5), pose(1, 12, 5), pose(1, 6, 5)]
    assert run_demo.match(person, poses)[0].tolist() == [6, 5, 1]
    assert run_demo.match(person, [pose(1, 5, 31)]) is None, "half of the box's diagonal is 25 px"


def test_losses_are_read_from_a_log_that_is_being_written(tmp_path, monkeypatch):
    monkeypatch.setattr(run_demo, "run_folder", lambda kind: tmp_path)
    assert run_demo.read_losses() == []
    lines = [json.dumps({"step": 1, "total": 3.0}), json.dumps({"step": 1, "AP": 0.1}), '{"st']
    (tmp_path / "values.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run_demo.read_losses() == [3.0]


@pytest.mark.parametrize(
    ("last", "after", "words"),
    [(90.0, 0.5, "loss fell: 100.0 in the first tenth, 90.0"), (110.0, 0.5, "did NOT fall")],
)
def test_the_summary_says_whether_the_loss_fell(tmp_path, last, after, words):
    scores = {
        "ceiling": {"easy": 0.9, "standard": 0.9, "crowd": 0.8},
        "untrained": {"standard": 0.0},
        "shipped": {"easy": 0.7, "standard": 0.5, "crowd": 0.3},
        "trained": {"easy": 0.7, "standard": after, "crowd": 0.3},
        "training": {"first": 100.0, "last": last, "steps": 10},
    }
    text = run_demo.summarise(scores, run_demo.Stages(tmp_path / "demo.json", ""), 5)
    assert words in text
    assert "people kept their AP" in text
    assert "0.700     0.500     0.300" in text


def test_the_summary_says_when_held_out_people_lost(tmp_path):
    scores = {
        "ceiling": {},
        "untrained": {},
        "shipped": {"standard": 0.5},
        "trained": {"standard": 0.48},
        "training": {"first": 2.0, "last": 1.0, "steps": 10},
    }
    text = run_demo.summarise(scores, run_demo.Stages(tmp_path / "demo.json", ""), 5)
    assert "people did NOT keep their AP" in text


def test_a_processor_without_avx_is_named(tmp_path):
    description = tmp_path / "cpuinfo"
    run_demo.check_processor(description)
    description.write_text("model name : new\nflags\t\t: fpu sse2 avx avx2\n")
    run_demo.check_processor(description)
    description.write_text("model name : arm\nFeatures : fp asimd\n")
    run_demo.check_processor(description)
    description.write_text("model name : old\nflags\t\t: fpu sse2\n")
    with pytest.raises(ValueError, match="need a processor with AVX"):
        run_demo.check_processor(description)
