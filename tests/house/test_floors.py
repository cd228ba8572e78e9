"""Who may import whom. The floors keep a metric from knowing a network, a codec a data set."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "lib" / "poseras"

FLOOR_0 = {"skeleton", "structures", "picture_augmentation", "geometry", "check", "settings"}
FLOOR_0 |= {
    "person_augmentation",
    "setting_values",
    "yaml_files",
    "error_lines",
    "files",
    "matlab_files",
}
FLOOR_1 = {
    "codecs",
    "ops",
    "metrics",
    "visualize",
    "visualize_parts",
    "visualize_sheet",
    "visualize_space",
    "checkpoints",
    "synthetic",
    "tracking",
}
FLOOR_2 = {"backbones", "batch_norm", "layers", "losses"}
TOP = {"predictor", "evaluation", "image_evaluation", "training", "demonstration"}
TOP |= {
    "image_prediction",
    "ceiling",
    "shipped",
    "starting_weights",
    "foreign",
    "snapshot_choice",
    "ensemble",
    "published_config",
    "report",
    "poses",
    "person_boxes",
    "box_choice",
    "detection",
    "picture_space",
    "frame_prediction",
    "smoothed_poses",
    "exporting",
    "weights_manifest",
    "downloading",
    "pairwise_training",
    "part_pictures",
    "sample_pictures",
    "mask_evaluation",
    "outcome_scores",
    "sequence_tracking",
    "validation",
}

#: Room -> rooms that it may import besides itself; "systems" are rooms of their own.
ALLOWED = {
    **{room: FLOOR_0 for room in FLOOR_0},
    **{room: FLOOR_0 for room in FLOOR_1},
    "synthetic": FLOOR_0 | {"checkpoints"},
    "tracking": FLOOR_0 | {"ops"},
    "visualize_parts": FLOOR_0 | {"visualize"},
    "visualize_sheet": FLOOR_0 | {"visualize"},
    "visualize_space": FLOOR_0 | {"visualize"},
    **{room: FLOOR_0 | FLOOR_2 for room in FLOOR_2},
    "data": FLOOR_0,
    "engine": FLOOR_0 | FLOOR_1,
    "systems": FLOOR_0,
    "": set(),
}
TENSORFLOW_ROOMS = {"data", "engine", "checkpoints", "ops"}
#: A layer that takes TensorFlow's kernel where TensorFlow is the backend, and imports it only then.
TENSORFLOW_KERNELS = {"batch_norm"}
#: Modules of floor 0 that import a library where they write a picture or read a MATLAB file, and
#: only then.
LATE_IMPORTS = {("files", "cv2"), ("matlab_files", "scipy")}
KERAS_ALONE = {"codecs", "losses", "layers", "backbones"}
OTHER_BACKENDS = {"tensorflow", "tf_keras", "torch", "jax", "jaxlib"}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> tuple[str, ...]:
    """poseras/data/images.py -> ("data", "images"); a package is named by its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def room_of(module: tuple[str, ...]) -> str:
    """The part of a module's name that the table of floors knows."""
    if module[:1] == ("systems",) and len(module) > 1:
        return f"systems.{module[1]}"
    return module[0] if module else ""


def exists(module: tuple[str, ...]) -> bool:
    path = PACKAGE.joinpath(*module)
    return path.with_suffix(".py").is_file() or path.is_dir()


def own_imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and target of every import of a poseras module, relative or absolute."""
    package = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "poseras":
                    yield node.lineno, tuple(alias.name.split(".")[1:])
        elif isinstance(node, ast.ImportFrom):
            named = tuple((node.module or "").split(".")) if node.module else ()
            if node.level:
                assert node.level - 1 <= len(package), f"{path}:{node.lineno} leaves the package"
                base = package[: len(package) - node.level + 1] + named
            elif named[:1] == ("poseras",):
                base = named[1:]
            else:
                continue
            for alias in node.names:
                inner = (*base, alias.name)
                yield node.lineno, inner if exists(inner) else base


def foreign_imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every absolute import."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, (node.module or "").split(".")[0]


def may_import(room: str, target: str) -> bool:
    if room in TOP or room == target:
        return True
    if room.startswith("systems."):
        return target in FLOOR_0 | FLOOR_1 | FLOOR_2
    return target in ALLOWED.get(room, set())


def test_the_package_is_found():
    assert len(python_files("lib/poseras")) > 10


def test_every_room_of_the_package_has_its_place_in_the_table():
    known = set(ALLOWED) | TOP
    rooms = {room_of(module_of(path)) for path in python_files("lib/poseras")}
    strange = {room for room in rooms if room not in known and not room.startswith("systems.")}
    assert not strange, f"no floor is known for {sorted(strange)}"


@pytest.mark.parametrize(
    ("room", "target", "verdict"),
    [
        ("geometry", "skeleton", True),
        ("geometry", "codecs", False),
        ("metrics", "losses", False),
        ("metrics", "ops", False),
        ("synthetic", "checkpoints", True),
        ("tracking", "ops", True),
        ("tracking", "metrics", False),
        ("losses", "layers", True),
        ("systems.a", "backbones", True),
        ("systems.a", "systems.b", False),
        ("systems.a", "data", False),
        ("data", "codecs", False),
        ("engine", "ops", True),
        ("engine", "data", False),
        ("engine", "systems.a", False),
        ("predictor", "engine", True),
    ],
)
def test_the_table_says_what_the_house_says(room, target, verdict):
    assert may_import(room, target) is verdict


def test_every_module_imports_its_own_floor_and_those_below():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {'.'.join(target)}"
        for path in python_files("lib/poseras")
        for line, target in own_imports(path)
        if not may_import(room_of(module_of(path)), room_of(target))
    ]
    assert not wrong, "\n".join(wrong)


def test_relative_imports_are_resolved(tmp_path, monkeypatch):
    package = tmp_path / "poseras"
    (package / "data").mkdir(parents=True)
    (package / "codecs").mkdir()
    (package / "geometry.py").touch()
    (package / "codecs" / "heatmap.py").touch()
    file = package / "data" / "some.py"
    file.write_text(
        "from .. import geometry\nfrom ..codecs.heatmap import f\nimport poseras.data\n"
    )
    monkeypatch.setitem(globals(), "PACKAGE", package)
    assert list(own_imports(file)) == [
        (1, ("geometry",)),
        (2, ("codecs", "heatmap")),
        (3, ("data",)),
    ]


def test_imports_inside_the_package_are_relative():
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in python_files("lib/poseras")
        for line, package in foreign_imports(path)
        if package == "poseras"
    ]
    assert not wrong, "\n".join(wrong)


def test_models_losses_and_codecs_know_keras_alone():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in python_files("lib/poseras")
        for line, package in foreign_imports(path)
        for room in [room_of(module_of(path))]
        if package in OTHER_BACKENDS and (room in KERAS_ALONE or room.startswith("systems."))
    ]
    assert not wrong, "\n".join(wrong)


def test_tensorflow_appears_in_its_rooms_alone():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in python_files("lib/poseras")
        for line, package in foreign_imports(path)
        if package in OTHER_BACKENDS
        and not (
            package == "tensorflow"
            and room_of(module_of(path)) in TENSORFLOW_ROOMS | TENSORFLOW_KERNELS
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_floor_0_needs_numpy_and_yaml_at_most():
    heavy = OTHER_BACKENDS | {"keras", "cv2", "scipy", "pycocotools"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in python_files("lib/poseras")
        for line, package in foreign_imports(path)
        for room in [room_of(module_of(path))]
        if room in FLOOR_0 and package in heavy and (room, package) not in LATE_IMPORTS
    ]
    assert not wrong, "\n".join(wrong)


def test_options_import_neither_keras_nor_tensorflow():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in (PACKAGE / "systems").glob("*/options.py")
        for line, package in foreign_imports(path)
        if package in OTHER_BACKENDS | {"keras", "cv2"}
    ]
    assert not wrong, "\n".join(wrong)


def test_only_tests_import_programs():
    programs = {path.stem for path in python_files("main", "tool")}
    wrong = []
    for path in python_files("main", "tool", "bench", "lib"):
        own = {"config", "command_line"} if path.parent == ROOT / "main" else set()
        for line, package in foreign_imports(path):
            if package in programs - own:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {package}")
    assert not wrong, "\n".join(wrong)


def test_nobody_touches_the_import_path():
    wrong = []
    for path in python_files("lib", "main", "tool", "bench", "tests"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            used = (
                isinstance(node, ast.Attribute)
                and node.attr == "path"
                and isinstance(node.value, ast.Name)
                and node.value.id == "sys"
            )
            taken = (
                isinstance(node, ast.ImportFrom)
                and node.module == "sys"
                and any(alias.name == "path" for alias in node.names)
            )
            if used or taken:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, "\n".join(wrong)
