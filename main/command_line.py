"""The command lines of the programs of this folder."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import textwrap
from collections.abc import Sequence

from config import DEFAULT_CONFIG, config_names, load_config
from poseras.error_lines import TRACE_VARIABLE, one_line_errors
from poseras.settings import describe_settings
from poseras.structures import View

_SETTINGS_HELP = """
settings:
  Every number of the recipe is a setting with a dotted name. --config takes a file of
  main/configs/, which holds what differs from the defaults; --set changes single ones on top:
    --set train.batch_size=16 options.sigma=3 data.trainset=COCO,MPII
  --list-settings prints all of them with values and meanings and ends.

errors:
  Wrong input ends a program with one line. {trace}=1 in the environment also shows
  where in the code it was refused.

configs: {configs}
"""


def make_parser(program: str, description: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """A command line with what every program shares: --config, --set, --list-settings, --gpu."""
    shown = "examples:\n" + "".join(f"  python main/{program} {text}\n" for text in examples)
    configs = textwrap.fill("; ".join(config_names()), 96, subsequent_indent="  ")
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=shown + _SETTINGS_HELP.format(configs=configs, trace=TRACE_VARIABLE),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--config", metavar="NAME", default=DEFAULT_CONFIG, help="default: " + DEFAULT_CONFIG)
    add("--cfg", metavar="FILE", default="", help="an original's experiment file instead")
    changes = "change single settings, after those of --config"
    add("--set", metavar="NAME=VALUE", nargs="+", action="extend", default=[], help=changes)
    add("--list-settings", action="store_true", help="print all settings and end")
    devices = "0 | 0,1 | 0-1 | 2- (from 2 on) | -2 (0 to 2) | cpu; without it the first GPU, if any"
    add("--gpu", metavar="IDS", help=devices)
    return parser


def parse_arguments(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """Begin a program: read its command line, let the log of poseras reach the terminal.

    `--list-settings` prints the settings and ends the program.

    Args:
        parser: of the program.
        arguments: without the program's name; by default those it was called with.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else TensorFlow reports its start-up
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if "--list-settings" in arguments:  # before the parser asks for what it requires
        shared, _ = make_parser(parser.prog, "", ()).parse_known_args(arguments)
        with one_line_errors(parser.prog):
            print(describe_settings(load_config(shared.config, shared.set, published=shared.cfg)))
        parser.exit()
    return parser.parse_args(arguments)


def prepare_environment(view: View) -> None:
    """Tell TensorFlow, before it is imported, not to time kernels anew for every size of picture.

    Where views differ in size that is the larger part of a step; a variable that is set already
    is left alone.
    """
    if not view.one_size:
        os.environ.setdefault("TF_CUDNN_USE_AUTOTUNE", "0")


def train_parser() -> argparse.ArgumentParser:
    """The command line of train.py."""
    examples = (
        "--gpu 0-1",
        "--gpu 0-1 --continue",
        "--gpu 0 --set train.batch_size=16 run=small",
        "--draw-samples 12",
    )
    about = "Train a pose network. Writes output/{log,model_dump}/<dataset>/<run>/."
    parser = make_parser("train.py", about, examples)
    resume = "go on from the newest snapshot of the run, bit for bit"
    parser.add_argument("--continue", dest="resume", action="store_true", help=resume)
    draw = "draw the first N samples and their target maps into output/vis/, and do not train"
    parser.add_argument("--draw-samples", metavar="N", type=int, default=0, help=draw)
    return parser


def test_parser() -> argparse.ArgumentParser:
    """The command line of test.py."""
    examples = (
        "--gpu 0-1 --test_epoch 140",
        "--cfg 256x192.yaml --model-file pose_resnet_50.pth.tar --flip-test",
    )
    about = (
        "Test a snapshot: poses, COCO result file, AP and pictures. Starts from the settings\n"
        "stored in the snapshot. Writes output/{result,vis}/<dataset>/<run>/."
    )
    parser = make_parser("test.py", about, examples)
    add = parser.add_argument
    add("--test_epoch", metavar="N", type=int, help="which snapshot_N of the run")
    add("--model-file", metavar="FILE", help="this snapshot or published checkpoint instead")
    flip = "the same as --set test.flip_test=true"
    add("--flip-test", dest="set", action="append_const", const="test.flip_test=true", help=flip)
    return parser


def demo_parser() -> argparse.ArgumentParser:
    """The command line of demo.py; `--config` is None where none is given."""
    examples = (
        "--input photo.jpg --output poses",
        "--input clip.mp4 --output poses --detector dfine_nano_coco --track --smooth",
        "--input 0 --output poses --show",
        "--input photos --output poses --detections boxes.json --model-file snapshot_140.ckpt",
    )
    about = (
        "Find the people in your own pictures, videos and cameras: drawings, and poses.json in\n"
        "COCO's form. Uses the weights that come with poseras unless a run or a file is named."
    )
    parser = make_parser("demo.py", about, examples)
    parser.set_defaults(config=None)
    add = parser.add_argument
    sources = "a picture, folder, glob, numbered pattern (shots/%%06d.png), video, camera number"
    add("--input", metavar="SOURCE", required=True, help=sources)
    add("--output", metavar="DIR", required=True, help="where drawings and poses.json go")
    add("--test_epoch", metavar="N", type=int, help="snapshot_N of the run (default: the highest)")
    add("--model-file", metavar="FILE", help="this snapshot or published checkpoint instead")
    boxes = parser.add_mutually_exclusive_group()
    listed = "person boxes in COCO result format; without boxes each whole picture is one"
    boxes.add_argument("--detections", metavar="FILE", help=listed)
    preset = "boxes of KerasHub's D-FINE: a preset (dfine_nano_coco, ...) or the folder of one"
    boxes.add_argument("--detector", metavar="NAME", help=preset)
    least = (
        "of the boxes of --detector, 0 to 1: those with a score above it are taken (default 0.3)"
    )
    add("--min-score", metavar="P", type=float, help=least)
    run = "boxes around the people that a bottom-up run (or snapshot) of this project finds"
    boxes.add_argument("--detector-run", metavar="RUN", help=run)
    ids, matching = "give people ids that stay theirs", ("greedy", "optimal")
    add("--track", choices=matching, nargs="?", const="greedy", help=f"{ids} (by default greedily)")
    motion = "where people are expected next: by optical flow (default) or by their own speed"
    add("--motion", choices=("flow", "motion", "none"), help=motion)
    add("--smooth", action="store_true", help="steady the joints of tracked people")
    add("--csv", action="store_true", help="write poses.csv as well")
    maps = "bottom-up networks: also people in colours that they keep, score maps, arrows"
    add("--parts", action="store_true", help=maps)
    add("--show", action="store_true", help="show the frames on the screen; q ends")
    focal = "of the camera in pixels; with --root-depth 3D poses come in camera space"
    add("--focal-length", metavar="PX", type=float, help=focal)
    add("--root-depth", metavar="MM", type=float, help="how far away people are (their pelvis)")
    return parser
