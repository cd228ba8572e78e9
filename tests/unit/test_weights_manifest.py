"""The manifest of published weights: its rules, and the project's own."""

import pytest
import yaml

from poseras.systems import options_module
from poseras.weights_manifest import find_files, read_manifest

ROW = {
    "name": "some_network",
    "file": "network.pth",
    "url": "https://example.org/network.pth",
    "bytes": "unverified",
    "hash": "sha256:12345678",
    "license": "MIT",
    "system": "simple_baselines",
    "row": "ResNet-50",
    "folder": "output/model_dump/COCO",
    "config": "some_config",
}


@pytest.fixture
def write_manifest(tmp_path):
    def write(**values):
        row = {key: value for key, value in {**ROW, **values}.items() if value is not None}
        path = tmp_path / "manifest.yaml"
        path.write_text(yaml.safe_dump({"files": [row]}))
        return path

    return write


def test_a_key_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "manifest.yaml"
    path.write_text("files:\n- name: a\n  hash: unverified\n  hash: sha256:12345678\n")
    with pytest.raises(ValueError, match=r"manifest.yaml, line 4 is not YAML: the key hash stands"):
        read_manifest(path)


def test_a_row_knows_what_is_unverified_and_how_it_is_used(write_manifest):
    ((file,),) = read_manifest(write_manifest()).values()
    assert file.unverified == ("size",) and file.hash == ("sha256", "12345678")
    assert file.command == (
        "python main/test.py --config some_config --model-file output/model_dump/COCO/network.pth"
    )
    ((file,),) = read_manifest(write_manifest(file="net.ckpt.data-00000-of-00001")).values()
    assert file.command.endswith("output/model_dump/COCO/net.ckpt")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": "http://example.org/a.pth"}, "must begin with https://"),
        ({"url": "ftp://example.org/a.pth"}, "must begin with https://"),
        ({"hash": "sha256:12"}, "at least 8 hexadecimal digits"),
        ({"hash": "crc32:12345678"}, "sha256: or md5:"),
        ({"file": "../network.pth"}, "a name without folders"),
        ({"folder": "../elsewhere"}, "must lie in the project"),
        ({"click": "there too"}, "either url or click"),
        ({"url": None}, "either url or click"),
        ({"bytes": "many"}, "no manifest of weights"),
        ({"shape": "round"}, "no manifest of weights"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(write_manifest, values, message):
    with pytest.raises(ValueError, match=message):
        read_manifest(write_manifest(**values))


def test_the_projects_own_manifest_fits_the_project(project_root):
    manifest = read_manifest()
    assert len(manifest) > 50
    places = [(file.folder, file.file) for files in manifest.values() for file in files]
    # One name for two files would let the second be taken for the first.
    assert len(places) == len(set(places))
    for files in manifest.values():
        assert len({(file.system, file.row, file.folder) for file in files}) == 1
        for file in files:
            options_module(file.system)
            assert file.command, f"{file.name} does not say how it is used"
            if file.config:
                assert (project_root / "main" / "configs" / f"{file.config}.yaml").is_file()
            if file.hash and file.url and file.hash[0] == "sha256" and len(file.hash[1]) == 8:
                assert file.hash[1] in file.url, "the digits are those of the file's name"


@pytest.mark.slow  # imports the systems, and Keras with them
def test_the_starts_that_the_systems_look_for_are_in_the_manifest():
    listed = {file.file for files in read_manifest().values() for file in files}
    from poseras.systems.integral_3d.weights import imagenet_files as integral_files
    from poseras.systems.simple_baselines.options import Options
    from poseras.systems.simple_baselines.weights import imagenet_files

    for depth in (50, 101, 152):
        for values in ({"form": "tensorflow"}, {"form": "pytorch"}):
            wanted = imagenet_files(Options(depth=depth, **values))
            assert listed & set(wanted), wanted
        caffe = imagenet_files(Options(depth=depth, form="pytorch", stride_on="1x1"))
        assert listed & set(caffe), caffe
    for depth in (18, 34, 50, 101, 152):
        options = options_module("integral_3d").Options(depth=depth)
        assert listed & set(integral_files(options))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean .*tf_slim_resnet50"):
        find_files(read_manifest(), "tfslim_resnet50")
