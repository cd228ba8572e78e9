"""Test a snapshot: people in pictures to poses, a COCO result file, AP, and drawings."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import command_line
import config as main_config
from config import Config
from poseras import snapshot_choice
from poseras.data.evaluation_set import EvaluationFiles
from poseras.error_lines import one_line_errors
from poseras.settings import flatten

ROOT = main_config.PROJECT_ROOT


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = command_line.parse_arguments(command_line.test_parser(), arguments)
    with one_line_errors("test.py"):
        config, snapshot = find_run(chosen)
        run(config, snapshot, main_config.find_test_files(config), chosen.gpu)


def find_run(chosen: Namespace) -> tuple[Config, Path]:
    """The settings of the test, which start from those stored in the snapshot, and the snapshot."""
    config = main_config.load_config(chosen.config, chosen.set, published=chosen.cfg)
    given = str(Path(chosen.model_file).resolve()) if chosen.model_file else config.test.model_file
    try:
        found = snapshot_choice.find_tested(ROOT, config, chosen.test_epoch, given)
    except FileNotFoundError:
        # Where both are missing, the data is named: it takes longest to get.
        main_config.find_test_files(config)
        raise
    stored = snapshot_choice.stored_config(found, config)
    return main_config.load_config(chosen.config, chosen.set, stored, chosen.cfg), found


def run(config: Config, snapshot: Path, files: EvaluationFiles, gpu: str | None) -> None:
    """Look for the people of the test set with the network of the snapshot; write what is found."""
    command_line.prepare_environment(config.view)
    from poseras import sequence_tracking

    if config.test.track != "none":  # before TensorFlow, whose import takes seconds
        sequence_tracking.require_sequences(files)
    from poseras import evaluation, image_evaluation
    from poseras.engine.distribute import count_gpus, make_strategy, parse_gpus
    from poseras.part_pictures import PartPictures
    from poseras.predictor import load_predictor

    strategy = make_strategy(parse_gpus(gpu, count_gpus()))
    network = {k: v for k, v in flatten(config).items() if k.startswith(("options.", "view."))}
    loaded = snapshot_choice.open_snapshot(snapshot, config, ROOT)
    test = config.test
    known: dict[str, Any] = {"strategy": strategy, "root": ROOT, "differences": network}
    predictor = load_predictor(loaded, finds_people=not test.true_masks, **known)
    sequence_tracking.require_sigmas(predictor.skeleton, test.track)
    parts = PartPictures(predictor) if test.draw_parts else None
    others = [
        load_predictor(snapshot_choice.open_snapshot(path, config, ROOT), strategy=strategy)
        for path in (snapshot_choice.find_tested(ROOT, config, None, p) for p in test.ensemble)
    ]
    outcome = image_evaluation.evaluate_by_settings(
        predictor, files, root=ROOT, data=config.data, test=test, ensemble=others
    )
    if test.track != "none":
        outcome = sequence_tracking.track_by_settings(outcome, data=config.data, test=test)
    result, vis = (main_config.output_folder(config, kind) for kind in ("result", "vis"))
    changes = main_config.list_changes(config)
    evaluation.write_outcome(outcome, result, test.real_keypoint_scores, changes)
    drawing = (test.draw_count, test.draw_style, test.draw_threshold)
    evaluation.draw_outcome(outcome, vis, *drawing, parts=parts)


if __name__ == "__main__":
    main()
