"""Files are written whole or not at all, and one module knows how."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: A move into place; and OpenCV's writer, which says by a value, easily missed, that it failed.
CALLS = {("os", "replace"), ("os", "rename"), ("shutil", "move"), ("cv2", "imwrite")}
ALLOWED = {
    "lib/poseras/files.py",
    "lib/poseras/downloading.py",  # a download is kept in parts, to go on from
    "tool/convert_weights.py",  # a checkpoint of TensorFlow 1 is a set of files
}


def calls_of(path: Path) -> list[str]:
    """The calls of `CALLS` in a file, each with its line."""
    return [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in CALLS
    ]


def test_one_module_moves_files_into_place_and_writes_pictures():
    paths = [path for folder in ("lib", "main", "tool") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): calls_of(path) for path in paths}
    assert found["lib/poseras/files.py"], "the search finds what is there"
    wrong = [call for name, calls in found.items() if name not in ALLOWED for call in calls]
    assert not wrong, f"{wrong}: take poseras.files"
