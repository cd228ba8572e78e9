import json
import shutil
from pathlib import Path

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


@pytest.mark.parametrize("content", [b'{"people": {"key"', b"null", b"[1]", b"\xff"])
def test_a_damaged_memory_is_begun_anew(tmp_path, content):
    path = tmp_path / "demo.json"
    path.write_bytes(content)
    assert run_demo.Stages(path, "one").run("training", lambda: 7) == 7
    assert json.loads(path.read_text()).keys() == {"training"}


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


#: Stands for main/train.py: epochs of a fifth of a second, an end at SIGTERM, --continue.
TRAINING = """
import json, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
models, logs = (
    pathlib.Path("output", kind, "SyntheticDemo/demo") for kind in ("model_dump", "log")
)
for folder in (models, logs):
    folder.mkdir(parents=True, exist_ok=True)
goes_on = "--continue" in sys.argv
first = len(list(models.iterdir())) if goes_on else 0
if {fails} and goes_on:
    sys.exit(7)
for epoch in range(first + 1, 11):
    with open(logs / "values.jsonl", "a") as log:
        log.write(json.dumps({{"step": epoch, "total": 100 - epoch, "goes_on": goes_on}}) + "\\n")
    (models / f"snapshot_{{epoch}}.safetensors").touch()
    time.sleep(0.2)
"""


def lay_out(root, monkeypatch, fails=False):
    (root / "main" / "configs").mkdir(parents=True)
    (root / "main" / "train.py").write_text(TRAINING.format(fails=fails))
    (root / "main" / "configs" / "demo.yaml").write_text("train.end_epoch: 10\n")
    monkeypatch.setattr(run_demo, "ROOT", root)


def test_the_training_is_interrupted_on_the_way_and_goes_on(tmp_path, monkeypatch, capfd):
    lay_out(tmp_path, monkeypatch)
    assert run_demo.train() == {"first": 99, "last": 90, "steps": 10}
    text = (run_demo.run_folder("log") / "values.jsonl").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    assert [entry["step"] for entry in entries] == list(range(1, 11)), "no epoch twice, none lost"
    assert [entry["goes_on"] for entry in entries[:4]] == [False] * 4
    assert entries[-1]["goes_on"]
    assert run_demo.newest_snapshot().name == "snapshot_10.safetensors"


def test_a_training_that_fails_ends_the_demo_with_its_code(tmp_path, monkeypatch):
    lay_out(tmp_path, monkeypatch, fails=True)
    with pytest.raises(SystemExit) as end:
        run_demo.train()
    assert end.value.code == 7


def test_ctrl_c_ends_the_demo_with_one_line(tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_demo, "STATE", tmp_path / "demo.json")
    monkeypatch.setattr(run_demo, "run_stages", stop)
    with pytest.raises(SystemExit) as end:
        run_demo.main([])
    assert end.value.code == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Interrupted.")


@pytest.mark.parametrize("name", ["tool/make_synthetic.py", "main/configs/demo.yaml", "lib/a.py"])
def test_changed_code_or_settings_change_the_digest(tmp_path, monkeypatch, project_root, name):
    lay_out(tmp_path, monkeypatch)
    for folder in ("tool", "lib"):
        (tmp_path / folder).mkdir()
    shutil.copy(project_root / "tool" / "make_synthetic.py", tmp_path / "tool")
    (tmp_path / "lib" / "a.py").write_text("A = 1\n")
    before = run_demo.digest_inputs(Path(__file__))
    assert run_demo.digest_inputs(Path(__file__)) == before
    with open(tmp_path / name, "a") as file:
        file.write("# changed\n")
    assert run_demo.digest_inputs(Path(__file__)) != before


def test_the_people_are_drawn_into_a_sheet_of_each_difficulty(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(run_demo, "call", lambda *command: commands.append(command))
    for difficulty, (dataset, arguments) in run_demo.SETS.items():
        run_demo.make_people(difficulty, run_demo.ROOT / "data" / dataset, arguments)
        assert commands[-1][-2:] == ("--sheet", f"output/vis/demo/people_{difficulty}.jpg")
    assert len(commands) == 3


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
