"""Convert AI Challenger's keypoints to the COCO places of the published fork, by its command.

Kept for those who know the fork: `tool/ai2coco.py` is the program with its mistakes mended.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from poseras.error_lines import one_line_errors

#: The fork's defaults, relative to where the program is started.
FOLDER = Path("dataset/AI_challenge/train")


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="ai2coco_art_neckhead_json.py",
        description="Convert AI Challenger's keypoints to COCO's 17 places, neck and head top at\n"
        "nose and left eye. The result is coco_art_neckhead_<name>, beside the file.",
        epilog="example:\n  python tool/ai2coco_art_neckhead_json.py \\\n"
        "      --keypoint_json keypoint_train_annotations_20170909.json \\\n"
        "      --img_dir keypoint_train_images_20170902",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    keypoints = FOLDER / "keypoint_train_annotations_20170909.json"
    images = FOLDER / "keypoint_train_images_20170902"
    add = parser.add_argument
    add("--keypoint_json", type=Path, default=keypoints, help="default: %(default)s")
    add("--img_dir", type=Path, default=images, help="default: %(default)s")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    with one_line_errors("ai2coco_art_neckhead_json.py"):
        convert(chosen.keypoint_json, chosen.img_dir)


def convert(annotations: Path, images: Path) -> Path:
    """Convert one file; the path of the result, whose bytes are those of the fork's."""
    import json

    from poseras.data.ai_challenger import convert_records, list_pictures, read_records
    from poseras.data.image_size import measure_pictures
    from poseras.engine.progress import progress_bar
    from poseras.files import write_text_atomically

    records = read_records(annotations)
    with progress_bar(total=len(records), unit="picture", desc="sizes") as bar:
        paths = list_pictures(records, images)
        sizes_hw = measure_pictures(paths, annotations, lambda _: bar.update())
    conversion = convert_records(records, sizes_hw, "coco17_neckhead")
    output = annotations.with_name(f"coco_art_neckhead_{annotations.name}")
    write_text_atomically(output, json.dumps(conversion.content))  # with the fork's spaces
    print(f"{output}: {conversion.summary()}")
    return output


if __name__ == "__main__":
    main()
