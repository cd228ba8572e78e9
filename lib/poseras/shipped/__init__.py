"""Small weights that come with the package, so that there are poses before there is any data.

`simple_baselines_synthetic`: a ResNet-18 of half width, COCO's 17 keypoints, trained on nothing but
synthetic people by `make shipped`. README gives its figures on made-up people and on photographs.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS = "simple_baselines_synthetic.safetensors"


def shipped_weights() -> Path:
    """The snapshot that comes with the package.

    Raises:
        FileNotFoundError: this installation lacks it.
    """
    path = Path(__file__).resolve().parent / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(
            f"The weights that come with poseras must lie at {path}. This installation lacks them; "
            "install poseras again, or make them anew with `make shipped` (hours)."
        )
    return path
