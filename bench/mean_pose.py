"""The least that a network in 3D must beat: the mean pose of the training people as every answer.

    python bench/mean_pose.py [--train-dataset Synthetic] [--dataset Synthetic] [--split val]

The numbers are those of `main/test.py`: root-relative, the joints of the published tables.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BOX_MM = (2000.0, 2000.0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train-dataset", default="Synthetic", help="folder of data/")
    parser.add_argument("--dataset", default="Synthetic", help="folder of data/ that is tested")
    parser.add_argument("--split", default="val", help="of the tested one")
    parser.add_argument("--skeleton", default="Synthetic/h36m_18", help="of both")
    chosen = parser.parse_args()

    from poseras.data.dataset import choose_skeleton
    from poseras.data.training_set import load_training_parts
    from poseras.metrics.mpjpe import ROOT as ROOT_JOINT
    from poseras.metrics.mpjpe import answer_mean_pose, evaluate_poses, format_table

    skeleton = choose_skeleton(ROOT, [chosen.train_dataset], chosen.skeleton)

    def read_poses(dataset: str, split: str) -> np.ndarray:
        people = load_training_parts(
            ROOT, [dataset], skeleton, split=split, root_box_mm=BOX_MM, on_bad_sample="skip"
        )[0]
        space = people.space
        if space is None:
            raise SystemExit(f"mean_pose.py: nobody of {dataset} is known in space.")
        return space.joints_camera_mm[space.located & space.joints_valid.all(axis=1)]

    reference = read_poses(chosen.train_dataset, "train").astype(np.float64)
    truth = read_poses(chosen.dataset, chosen.split).astype(np.float64)
    answers = answer_mean_pose(truth, reference, skeleton.index_of(ROOT_JOINT))
    evaluation = evaluate_poses(answers, truth, skeleton.keypoints)
    sys.stdout.write(
        f"{len(truth)} people, the mean pose of {len(reference)}:\n{format_table(evaluation)}\n"
    )


if __name__ == "__main__":
    main()
