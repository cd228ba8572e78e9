"""Train a pose network, on the devices of one machine or of several."""

from __future__ import annotations

import os
from collections.abc import Sequence

import command_line
import config as main_config
from config import Config
from poseras.check import check_distinct
from poseras.data.dataset import choose_skeleton
from poseras.data.training_samples import load_training_samples
from poseras.error_lines import one_line_errors
from poseras.settings import flatten
from poseras.systems import options_module

ROOT = main_config.PROJECT_ROOT


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = command_line.parse_arguments(command_line.train_parser(), arguments)
    with one_line_errors("train.py"):
        settings = main_config.load_config(chosen.config, chosen.set, published=chosen.cfg)
        train_network(settings, chosen.gpu, resume=chosen.resume, draw=chosen.draw_samples)


def train_network(config: Config, gpu: str | None, *, resume: bool, draw: int) -> None:
    """Train the network of a config to the end, or draw what it would learn from."""
    recipe, data, test = config.train, config.data, config.test
    check_distinct("data.trainset", data.trainset)
    skeleton = choose_skeleton(ROOT, data.trainset, data.skeleton)
    sample = options_module(config.system).SAMPLE
    samples, mixture = load_training_samples(
        ROOT, data, skeleton, sample=sample, seed=config.seed, root_box_mm=config.view.root_box_mm
    )
    files = main_config.find_test_files(config) if recipe.validate_every_epochs else None
    command_line.prepare_environment(config.view)
    from poseras import sample_pictures, training, validation
    from poseras.engine import distribute, workers

    gpus = distribute.parse_gpus(gpu, distribute.count_gpus())
    with workers.failures_in_one_line("train.py"):
        strategy = workers.join(os.environ.get("TF_CONFIG"), gpus, recipe.peer_timeout_s)
        folder = main_config.output_folder(config, "model_dump")
        network = (config.system, config.options, skeleton)
        job = training.TrainingJob(
            people=samples,
            mixture=mixture,
            skeleton=skeleton,
            recipe=recipe,
            system_name=config.system,
            options=config.options,
            view=config.view,
            seed=config.seed,
            config=flatten(config),
            changes=main_config.list_changes(config),
            resources=training.load_resources(*network, folder, resume=resume, root=ROOT),
            snapshot_folder=folder,
            log_folder=main_config.output_folder(config, "log"),
            root=ROOT,
            resume=resume,
            workers=data.workers,
            on_bad_sample=data.on_bad_sample,
            validation=validation.Validation(files, test) if files else None,
        )
        if draw:
            sample_pictures.write_samples(job, draw, main_config.output_folder(config, "vis"))
            return
        training.train_people(job, strategy)


if __name__ == "__main__":
    main()
