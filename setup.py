"""Install the `poseras` package of `lib/`; the programs of `main/` and `tool/` import it."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

setup(
    name="poseras",
    version="0.1.0",
    description="Human pose estimation for TensorFlow 2 and Keras 3",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    package_data={"poseras": ["*.yaml", "py.typed", "shipped/*", "ops/kernels/*", "ops/*.so"]},
    install_requires=[
        "tensorflow>=2.19",
        "keras>=3.8",
        "numpy>=1.26",
        "opencv-python-headless>=5",
        "pycocotools>=2.0.8",
        "scipy>=1.11",
        "pyyaml>=6",
        "safetensors>=0.5",
        "h5py>=3.10",
        "ml-dtypes>=0.4",
        "msgspec>=0.20",
        "tqdm>=4.66",
        "tensorboard>=2.19",
    ],
    extras_require={
        "human36m": ["cdflib>=1.3"],
        "onnx": ["tf2onnx>=1.17", "onnx", "onnxruntime"],
        "video": ["av>=15"],
        "detector": ["keras-hub>=0.32", "tensorflow-text>=2.19"],
        "dev": [
            "ruff>=0.12",
            "mypy>=1.15",
            "pytest>=8.3",
            "pytest-xdist>=3.6",
            "types-PyYAML",
            "types-tqdm",
            "cdflib>=1.3",
            "av>=15",
        ],
    },
)
