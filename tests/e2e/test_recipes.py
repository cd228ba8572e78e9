"""Every command of README's recipes is run, on tiny files of the names that stand in it.

A new recipe needs nothing here if it uses the same names; another name gets its stand-in in
`lay_out`. Commands of other programs than those of `PROGRAMS` are not run.
"""

import importlib
import json
import re
import shlex
import shutil

import cv2
import numpy as np
import pytest

import command_line
import config as main_config
from poseras.data.video import read_video
from poseras.engine import snapshot
from poseras.engine.video_writer import open_video_writer
from poseras.settings import flatten
from poseras.systems import system_class

PROGRAMS = ("main/demo.py", "tool/report.py", "tool/check_data.py", "tool/download_weights.py")
HEADING = "Recipes"
TINY_3D = {
    "system": "integral_3d",
    "options.input_shape": "64,64",
    "options.backbone_width": 8,
    "options.head_filters": "8,8,8",
    "options.depth": 18,
    "options.depth_bins": 8,
}
#: What only a machine with a camera or a network can do; the rest of the command is still read.
NOT_HERE = re.compile(r"--input \d+ |download_weights\.py (?!.*--list)")


def find_commands(text):
    """The commands of the fenced bash blocks below the heading, each as words."""
    section = re.search(rf"^## {HEADING}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None:
        return []
    blocks = re.findall(r"^```bash\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    return [words for words in commands if words[:1] == ["python"] and words[1] in PROGRAMS]


def write_snapshot(path, settings, skeleton):
    import keras

    config = main_config.build_config(settings)
    keras.utils.set_random_seed(0)
    model = system_class(config.system)(config.options, skeleton, {}).build_model()
    metadata = {
        "system": config.system,
        "options": flatten(config.options),
        "skeleton": skeleton.to_dict(),
        "view": flatten(config.view),
        "config": flatten(config),
    }
    snapshot.write_snapshot(path, snapshot.collect_weights(model), metadata)


def lay_out(project):
    """The files and runs that recipes name."""
    from poseras.data.dataset import choose_skeleton

    root = project.root
    shutil.copytree(project.data / "images" / "val2017", root / "photos")
    picture = cv2.imread(str(next((root / "photos").glob("*.jpg"))))
    cv2.imwrite(str(root / "photo.jpg"), picture)
    (root / "frames").mkdir()
    with open_video_writer(root / "clip.mp4", 25) as writer:
        for number in range(3):
            moved = np.ascontiguousarray(np.roll(picture, number, axis=1))
            cv2.imwrite(str(root / "frames" / f"{number:06d}.png"), moved)
            writer.write(moved)
    box = {"category_id": 1, "bbox": [5, 5, 40, 60], "score": 0.9}
    named = {"boxes.json": (1, 2, 3), "frame_boxes.json": (0, 1, 2)}
    for name, ids in named.items():
        (root / name).write_text(json.dumps([{"image_id": number, **box} for number in ids]))
    tiny = project.write_snapshot(140)
    own = root / "output" / "model_dump" / "COCO"
    shutil.copytree(tiny.parent, own / "my_run")
    shutil.copy(tiny, root / "snapshot_140.safetensors")
    project.write_bottom_up_snapshot("my_bottom_up_run")
    write_snapshot(root / "snapshot_3d.safetensors", TINY_3D, choose_skeleton(root, ["COCO"]))
    return tiny


@pytest.fixture
def recipes(project_root):
    commands = find_commands((project_root / "README.md").read_text(encoding="utf-8"))
    assert len(commands) > 10, f"README has no commands below ## {HEADING}"
    return commands


def run(words, project, monkeypatch):
    """Run a command in this process, which saves the import of TensorFlow for each of them."""
    program = importlib.import_module(words[1].split("/")[1].removesuffix(".py"))
    if hasattr(program, "ROOT"):
        monkeypatch.setattr(program, "ROOT", project.root)
    monkeypatch.chdir(project.root)
    try:
        program.main(words[2:])
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.mark.slow
def test_every_recipe_works(recipes, project, monkeypatch, request, capsys):
    tiny = lay_out(project)
    monkeypatch.setattr("demo.shipped_weights", lambda: tiny)
    if any("report.py" in words[1] for words in recipes):
        for name in ("my_run", "another_run"):
            shutil.copytree(tiny.parent, tiny.parents[1] / name, dirs_exist_ok=True)
            done = project.run("test.py", "--test_epoch", "140", "--set", f"run={name}")
            assert done.returncode == 0, done.stderr[-2000:]
    for words in recipes:
        command = " ".join(words)
        if NOT_HERE.search(command):
            if words[1] == "main/demo.py":
                command_line.demo_parser().parse_args(words[2:])
            continue
        if "dfine_nano_coco" in words:
            if importlib.util.find_spec("keras_hub") is None:
                continue  # tests/e2e/test_demo.py tells when it is skipped for this reason
            preset = str(request.getfixturevalue("dfine_preset"))
            words = [preset if word == "dfine_nano_coco" else word for word in words]
        code = run(words, project, monkeypatch)
        expected = (0, 1) if words[1] == "tool/check_data.py" else (0,)
        assert code in expected, f"{command}\n{capsys.readouterr().err[-2000:]}"
        if words[1] == "main/demo.py":
            check_poses(project.root / "poses", command)


def check_poses(output, command):
    """A demonstration left whole files of what it was given; they go before the next one."""
    content = json.loads((output / "poses.json").read_text())
    assert content["images"], command
    if "clip.mp4" in command:
        assert len(list(read_video(output / "clip.mp4"))) == len(content["images"]) == 3
    else:
        assert len(list(output.glob("*.jpg"))) == len(content["images"])
    assert ("--csv" in command) == (output / "poses.csv").exists()
    shutil.rmtree(output)


def test_commands_are_found_below_the_heading_alone():
    text = """## Else
```bash
python main/demo.py --no
```
## Recipes
```bash
python main/demo.py --input "a b" \\
  --output c   # with a remark
make test
```
```
python main/demo.py --neither
```
## After
```bash
python main/demo.py --nor
```
"""
    assert find_commands(text) == [["python", "main/demo.py", "--input", "a b", "--output", "c"]]
    assert find_commands("## Nothing\n") == []
