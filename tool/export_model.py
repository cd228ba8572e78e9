"""Export the network of a snapshot for other runtimes: SavedModel, ONNX or LiteRT."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from poseras.data.pictures import list_pictures, read_boxes
from poseras.error_lines import one_line_errors

ROOT = Path(__file__).resolve().parent.parent

_EXAMPLES = """
examples:
  python tool/export_model.py output/model_dump/COCO/mine/snapshot_140.safetensors pose.onnx \\
      --format onnx --images data/COCO/images/val2017
  python tool/export_model.py snapshot_140.safetensors pose_model --format saved_model \\
      --images photos --detections boxes.json --flip-test

The graph takes RGB views 0..255 (batch, height, width, 3), float32, and gives keypoints_px (batch,
1, joints, 2) in pixels of the view and keypoint_scores (batch, 1, joints).
"""


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Export a network, decoding included, in float32; reload the file in its own\n"
        "runtime, and compare on people of real pictures. It fails if a keypoint moves by more\n"
        "than 0.1 px.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("snapshot", metavar="SNAPSHOT", help="a .safetensors file")
    add("output", metavar="OUTPUT", help="a folder, or a file that ends in .onnx or .tflite")
    add("--format", required=True, choices=("saved_model", "onnx", "litert"))
    pictures = "a picture or a folder for the comparison (default: data/COCO/images/val2017)"
    add("--images", metavar="PATH", default=str(ROOT / "data/COCO/images/val2017"), help=pictures)
    boxes = "person boxes in COCO result format; without it each whole picture is one box"
    add("--detections", metavar="FILE", help=boxes)
    add("--count", metavar="N", type=int, default=8, help="pictures compared (default: 8)")
    add("--flip-test", action="store_true", help="mirror and average inside the graph")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with one_line_errors("export_model.py"):
        pictures = list_pictures(chosen.images)[: chosen.count]
        boxes = None
        if chosen.detections:
            boxes = [b.boxes_xywh for b in read_boxes(chosen.detections, pictures)]
        from poseras.exporting import export_snapshot

        export_snapshot(
            chosen.snapshot,
            chosen.output,
            chosen.format,
            pictures,
            boxes,
            flip_test=chosen.flip_test,
        )


if __name__ == "__main__":
    main()
