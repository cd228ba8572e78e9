"""Find the poses in your own pictures, videos and cameras: drawings, and poses.json."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import command_line
import config as main_config
from config import Config
from poseras import snapshot_choice
from poseras.error_lines import one_line_errors
from poseras.settings import flatten
from poseras.shipped import shipped_weights

ROOT = main_config.PROJECT_ROOT


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = command_line.parse_arguments(command_line.demo_parser(), arguments)
    with one_line_errors("demo.py"):
        config, snapshot = find_network(chosen)
        run(config, snapshot, chosen)


def find_network(chosen: Namespace) -> tuple[Config, Path]:
    """The settings, which start from those stored in the snapshot, and the snapshot."""
    name = chosen.config or main_config.DEFAULT_CONFIG
    config = main_config.load_config(name, chosen.set, published=chosen.cfg)
    named = chosen.config or chosen.cfg or any(text.startswith("run=") for text in chosen.set)
    file = str(Path(chosen.model_file).resolve()) if chosen.model_file else config.test.model_file
    if named or file or chosen.test_epoch is not None:
        found = snapshot_choice.find_tested(ROOT, config, chosen.test_epoch, file, newest=True)
    else:
        found = shipped_weights()
    stored = snapshot_choice.stored_config(found, config)
    return main_config.load_config(name, chosen.set, stored, chosen.cfg), found


def run(config: Config, snapshot: Path, chosen: Namespace) -> None:
    """Look through the input with the network of the snapshot."""
    command_line.prepare_environment(config.view)
    from poseras.data.frames import open_frames

    source = open_frames(chosen.input)  # before TensorFlow, whose import takes seconds
    from poseras.box_choice import choose_boxes
    from poseras.demonstration import Showing, demonstrate
    from poseras.engine.distribute import count_gpus, make_strategy, parse_gpus
    from poseras.frame_prediction import Looking, tracking_of
    from poseras.picture_space import camera_of
    from poseras.predictor import load_predictor

    named = (chosen.detections, chosen.detector, chosen.detector_run)
    strategy = make_strategy(parse_gpus(chosen.gpu, count_gpus()))
    network = {k: v for k, v in flatten(config).items() if k.startswith(("options.", "view."))}
    loaded = snapshot_choice.open_snapshot(snapshot, config, ROOT)
    test = config.test
    looking = Looking(
        boxes=choose_boxes(source, ROOT, *named, min_score=chosen.min_score, strategy=strategy),
        flip_test=test.flip_test,
        batch_size=test.batch_size,
        frames_at_a_time=1 if source.kind == "camera" else 8,
        keypoint_threshold=test.keypoint_threshold,
        oks_nms_threshold=test.oks_nms_threshold,
        camera=camera_of(chosen.focal_length, chosen.root_depth),
        tracking=tracking_of(chosen.track, chosen.motion, smooth=chosen.smooth),
    )
    style = (test.draw_style, test.draw_threshold)
    shown = {"csv": chosen.csv, "window": chosen.show, "smooth": chosen.smooth}
    showing = Showing(*style, **shown, parts=chosen.parts)
    predictor = load_predictor(
        loaded, differences=network, strategy=strategy, root=ROOT, finds_people=True
    )
    demonstrate(predictor, source, Path(chosen.output), looking, showing)


if __name__ == "__main__":
    main()
