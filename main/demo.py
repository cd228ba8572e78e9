"""Find the poses in your own pictures: drawings, and the coordinates in poses.json."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import command_line
import config as main_config
from poseras import foreign, snapshot_choice
from poseras.data.pictures import list_pictures, read_boxes
from poseras.engine.snapshot_lookup import find_snapshot
from poseras.settings import one_line_errors
from poseras.systems import options_module

log = logging.getLogger("poseras")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = command_line.parse_arguments(command_line.demo_parser(), arguments)
    with one_line_errors("demo.py"):
        config = main_config.load_config(chosen.config, chosen.set, published=chosen.cfg)
        pictures = list_pictures(chosen.input)
        boxes = read_boxes(chosen.detections, pictures) if chosen.detections else None
        if boxes is None and options_module(config.system).SAMPLE == "person":
            log.warning("No --detections: each whole picture is taken as the box of one person.")
        found = find_snapshot(
            main_config.PROJECT_ROOT / "output" / "model_dump",
            config.data.trainset[0],
            config.run,
            chosen.test_epoch,
            system=config.system,
            explain_misfit=partial(foreign.explain_misfit, system=config.system),
        )
        for note in found.notes:
            log.info(note)
        stored = snapshot_choice.stored_config(found.path, config)
        trained = main_config.load_config(chosen.config, chosen.set, stored, chosen.cfg)
        snapshot = snapshot_choice.open_snapshot(found.path, trained, main_config.PROJECT_ROOT)
        from poseras import demonstration
        from poseras.engine.distribute import count_gpus, make_strategy, parse_gpus
        from poseras.predictor import load_predictor

        strategy = make_strategy(parse_gpus(chosen.gpu, count_gpus()))
        demonstration.demonstrate(
            load_predictor(snapshot, strategy=strategy),
            pictures,
            boxes,
            Path(chosen.output),
            flip_test=config.test.flip_test,
            batch_size=config.test.batch_size,
            keypoint_threshold=config.test.keypoint_threshold,
            oks_nms_threshold=config.test.oks_nms_threshold,
            style=config.test.draw_style,
            draw_threshold=config.test.draw_threshold,
        )


if __name__ == "__main__":
    main()
