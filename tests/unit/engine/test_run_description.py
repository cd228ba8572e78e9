import logging
import subprocess

import pytest

from poseras.engine.run_description import CONFIG_NAME, RunDescription, read_commit
from poseras.settings import read_differences

CONFIG = {"run": "tiny", "data.trainset": ["COCO", "MPII"], "train.weight_decay": 1e-5, "x": "off"}


def describe(**others):
    return RunDescription(CONFIG, **{"versions": {"poseras": "1.2", "keras": "3.4"}, **others})


def test_the_log_names_what_differs_from_the_defaults_and_the_versions(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "poseras"):
        describe(changes={"run": "tiny", "train.batch_size": 4}, commit="abc").tell(tmp_path)
    settings, versions = caplog.messages
    assert settings == ('Settings that differ from their defaults: run="tiny" train.batch_size=4')
    assert versions == "Versions: poseras 1.2, keras 3.4, commit abc"


def test_the_settings_file_has_what_differs_and_the_rest_as_comments(tmp_path):
    describe(changes={"run": "tiny", "data.trainset": ["COCO", "MPII"]}).tell(tmp_path)
    path = tmp_path / CONFIG_NAME
    assert read_differences(path) == {"run": "tiny", "data.trainset": ["COCO", "MPII"]}
    lines = path.read_text().splitlines()
    assert "# train.weight_decay: 1e-05" in lines and '# x: "off"' in lines
    path.write_text(path.read_text().replace("# train.weight", "train.weight").replace("# x", "x"))
    assert read_differences(path) == CONFIG, "a comment is a setting too, once it is none"


def test_where_nobody_knows_the_defaults_every_setting_stands_there(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "poseras"):
        describe().tell(tmp_path)
    assert read_differences(tmp_path / CONFIG_NAME) == CONFIG
    assert caplog.messages == ["Versions: poseras 1.2, keras 3.4"]


def test_workers_that_write_no_log_write_no_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    describe().tell(None)
    assert not list(tmp_path.iterdir())


def git(folder, *arguments):
    named = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", "-C", folder, *named, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_is_that_of_the_project_itself(tmp_path, monkeypatch):
    monkeypatch.delenv("GIT_DIR", raising=False)
    try:
        git(tmp_path, "init", "-q")
    except FileNotFoundError:
        pytest.skip("git is not installed")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "-a", "v1", "-m", "a tag is not a commit")
    commit = read_commit(tmp_path)
    assert len(commit) >= 12 and git(tmp_path, "rev-parse", "HEAD").startswith(commit)
    (tmp_path / "a").write_text("2")
    assert read_commit(tmp_path) == f"{commit}-dirty"
    (tmp_path / "inner").mkdir()
    assert read_commit(tmp_path / "inner") is None
    monkeypatch.setenv("PATH", "")
    assert read_commit(tmp_path) is None
