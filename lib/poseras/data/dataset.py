"""A dataset is one file, `data/<NAME>/dataset.yaml`: keypoint sets, evaluation, files per split.

Keypoint names are canonical across datasets, so that one is re-indexed to another by name; what a
dataset's own files call a keypoint stands under `aliases`. Relative paths are relative to the
project root.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from ..skeleton import Skeleton
from ..yaml_files import read_yaml

#: Protocols by which results on a dataset are scored, and in whose form they are written.
Evaluation = Literal[
    "coco", "crowdpose", "mpii", "posetrack", "human36m", "ai_challenger", "pck", "none"
]
#: Ending of pose-tensorflow's annotation files.
MAT_SUFFIX = ".mat"
#: Those that compare poses by OKS, if only to suppress doubles.
_NEEDS_SIGMAS = ("coco", "crowdpose", "posetrack", "ai_challenger")


@dataclass(frozen=True)
class Split:
    """The files of one split.

    Attributes:
        annotations: file in COCO format, or COCO's image-info file for pictures without people.
        images: folder to which each `file_name` of the annotations is relative.
        detections: person boxes in COCO result format, for top-down testing; None without.
        sequences: folder of the original files, one per video sequence, by which PoseTrack's
            results are written and scored; None without.
        more_annotations: files of the same kind after the first one, whose images follow.
    """

    annotations: Path
    images: Path
    detections: Path | None = None
    sequences: Path | None = None
    more_annotations: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """What `dataset.yaml` says.

    Attributes:
        name: of its folder.
        folder: absolute.
        skeletons: keypoint sets by name, the first is the dataset's own default.
        aliases: a spelling of the dataset's files -> the canonical keypoint name.
        splits: files by name of the split.
        evaluation: protocol of the scores.
        derived: joints that the files lack -> those of theirs, or derived before, whose middle
            they are; read only for a network that has them.
    """

    name: str
    folder: Path
    skeletons: Mapping[str, Skeleton]
    aliases: Mapping[str, str]
    splits: Mapping[str, Split]
    evaluation: Evaluation
    derived: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def skeleton(self) -> Skeleton:
        """The first keypoint set."""
        return next(iter(self.skeletons.values()))

    @property
    def skip_unlabelled(self) -> bool:
        """Whether training leaves out people without a labelled joint, whatever count they have.

        COCO's published loader looks at the labels, those of MPII and PoseTrack trust the file's
        `num_keypoints`.
        """
        return self.evaluation == "coco"

    def split(self, name: str) -> Split:
        """The files of a split.

        Raises:
            ValueError: the dataset has no such split.
        """
        if name not in self.splits:
            raise ValueError(
                f"{self.folder / 'dataset.yaml'} has no split {name!r}. It has: "
                f"{', '.join(self.splits)}."
            )
        return self.splits[name]


def replace_files(
    dataset: Dataset,
    split: str,
    annotations: str | Path | None = None,
    images: str | Path | None = None,
    evaluation: Evaluation | None = None,
) -> Dataset:
    """A dataset whose split has other files.

    Args:
        dataset: as `load_dataset` gives it.
        split: which one.
        annotations: in COCO format, or a `.mat` file; None or "" for the split's own.
        images: folder of the pictures; None or "" for the split's own, and for that of a `.mat`
            file.
        evaluation: protocol of the scores; None for the dataset's own.

    Raises:
        ValueError: the dataset has no such split.
    """
    files = dataset.split(split)
    folder = Path(images) if images else files.images
    if annotations:
        path = Path(annotations)
        if path.suffix == MAT_SUFFIX and not images:
            folder = path.parent
        files = replace(files, annotations=path, more_annotations=())
    splits = {**dataset.splits, split: replace(files, images=folder)}
    return replace(dataset, splits=splits, evaluation=evaluation or dataset.evaluation)


Point = str | int
Colour = tuple[int, int, int]
Side = Literal["left", "right", "centre"]


class _KeypointSet(msgspec.Struct):
    keypoints: list[str]
    flip_pairs: list[tuple[Point, Point]] = []
    limbs: list[tuple[Point, Point]] = []
    oks_sigmas: list[float] = []
    colours: list[Colour] | dict[Side, Colour] = []


class _Split(msgspec.Struct):
    annotations: str | Annotated[list[str], msgspec.Meta(min_length=1)]
    images: str
    detections: str | None = None
    sequences: str | None = None


class _DatasetFile(msgspec.Struct):
    keypoint_sets: dict[str, _KeypointSet]
    splits: dict[str, _Split]
    aliases: dict[str, str] = {}
    evaluation: Evaluation = "none"
    derived: dict[str, Annotated[list[str], msgspec.Meta(min_length=1)]] = {}


def list_datasets(root: str | Path) -> list[str]:
    """The names of the folders of `data/` that hold a dataset.yaml, sorted."""
    return sorted(path.parent.name for path in Path(root).glob("data/*/dataset.yaml"))


def load_dataset(root: str | Path, name: str) -> Dataset:
    """Read `data/<NAME>/dataset.yaml`.

    Args:
        root: of the project; relative paths of the file are relative to it.
        name: of the folder.

    Raises:
        ValueError: there is no such dataset (those there are get listed), or the file breaks a
            rule: keys that are unknown or stand twice, wrong types, names that no keypoint has.
    """
    root = Path(root).resolve()
    names = list_datasets(root)
    if name not in names:
        raise ValueError(
            f"No dataset {name!r} in {root / 'data'}. A dataset is a folder with a dataset.yaml; "
            f"there: {', '.join(names) or 'none'}."
        )
    path = root / "data" / name / "dataset.yaml"
    content = _read_dataset_file(path)
    skeletons = {
        key: _build_skeleton(f"{name}/{key}", keypoint_set, f"{path}, keypoint_sets.{key}")
        for key, keypoint_set in content.keypoint_sets.items()
    }
    dataset = Dataset(
        name=name,
        folder=path.parent,
        skeletons=skeletons,
        aliases=content.aliases,
        splits={key: _resolve_split(root, split) for key, split in content.splits.items()},
        evaluation=content.evaluation,
        derived=content.derived,
    )
    _check_dataset(dataset, path)
    return dataset


def choose_skeleton(root: str | Path, trainset: Sequence[str], choice: str = "") -> Skeleton:
    """The skeleton of the network.

    Args:
        root: of the project.
        trainset: names of datasets; the first gives the skeleton where `choice` is empty.
        choice: NAME/SET, a keypoint set of any dataset; NAME alone means its first set.

    Raises:
        ValueError: there is no such dataset or keypoint set.
    """
    name, _, key = (choice or trainset[0]).partition("/")
    dataset = load_dataset(root, name)
    if not key:
        return dataset.skeleton
    if key not in dataset.skeletons:
        raise ValueError(
            f"Dataset {name} has no keypoint set {key!r}. It has: "
            f"{', '.join(f'{name}/{known}' for known in dataset.skeletons)}."
        )
    return dataset.skeletons[key]


def _read_dataset_file(path: Path) -> _DatasetFile:
    raw = read_yaml(path)
    _reject_unknown_keys(path, raw)
    try:
        return msgspec.convert(raw, _DatasetFile)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"{path} does not describe a dataset: {error}. data/README.md shows a complete one."
        ) from None


def _reject_unknown_keys(path: Path, raw: Any) -> None:
    """Name the nearest key; types are left to the conversion that follows."""

    def check(values: Any, kind: type[msgspec.Struct], where: str) -> None:
        for key in values if isinstance(values, dict) else ():
            if key not in kind.__struct_fields__:
                nearest = _name_nearest(str(key), kind.__struct_fields__)
                raise ValueError(f"{path} has an unknown key {where}{key}.{nearest}")

    check(raw, _DatasetFile, "")
    for group, kind in (("keypoint_sets", _KeypointSet), ("splits", _Split)):
        members = raw.get(group) if isinstance(raw, dict) else None
        for name, values in members.items() if isinstance(members, dict) else ():
            check(values, kind, f"{group}.{name}.")


def _name_nearest(word: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {nearest[0]}?" if nearest else f" Known: {', '.join(known)}."


def _resolve_split(root: Path, split: _Split) -> Split:
    files = [split.annotations] if isinstance(split.annotations, str) else split.annotations
    return Split(
        annotations=root / files[0],
        images=root / split.images,
        detections=root / split.detections if split.detections else None,
        sequences=root / split.sequences if split.sequences else None,
        more_annotations=tuple(root / file for file in files[1:]),
    )


def _build_skeleton(name: str, values: _KeypointSet, where: str) -> Skeleton:
    names = values.keypoints

    def index(point: Point) -> int:
        if isinstance(point, int):
            return point
        if point not in names:
            raise ValueError(f"{where} has no keypoint {point!r}.{_name_nearest(point, names)}")
        return names.index(point)

    limbs = tuple((index(a), index(b)) for a, b in values.limbs)
    skeleton = Skeleton(
        name=name,
        keypoints=tuple(names),
        flip_pairs=tuple((index(a), index(b)) for a, b in values.flip_pairs),
        limbs=limbs,
        oks_sigmas=tuple(values.oks_sigmas),
    )
    colours = values.colours
    if isinstance(colours, dict):
        colours = _colour_by_side(skeleton, colours, where)
    return Skeleton.from_dict({**skeleton.to_dict(), "colours": colours})


def _colour_by_side(skeleton: Skeleton, colours: Mapping[Side, Colour], where: str) -> list[Colour]:
    """One colour per limb: that of the one side its joints are named after, else the centre's."""
    missing = [side for side in get_args(Side) if side not in colours]
    if missing:
        raise ValueError(f"{where}.colours lacks {', '.join(missing)}; name left, right, centre.")
    chosen = []
    for limb in skeleton.limbs:
        heads = {skeleton.keypoints[joint].partition("_")[0] for joint in limb}
        side: Side = "centre"
        if "left" in heads and "right" not in heads:
            side = "left"
        elif "right" in heads and "left" not in heads:
            side = "right"
        chosen.append(colours[side])
    return chosen


def _check_dataset(dataset: Dataset, path: Path) -> None:
    for group, members in (("keypoint_sets", dataset.skeletons), ("splits", dataset.splits)):
        if not members:
            raise ValueError(f"{path} must have at least one entry under {group}.")
    known = {name: None for skeleton in dataset.skeletons.values() for name in skeleton.keypoints}
    for alias, name in dataset.aliases.items():
        if name not in known:
            nearest = _name_nearest(name, list(known))
            raise ValueError(f"{path} gives {alias} as alias of the unknown {name}.{nearest}")
    for joint, sources in dataset.derived.items():
        if strange := [source for source in sources if source not in known]:
            nearest = _name_nearest(strange[0], list(known))
            raise ValueError(f"{path} derives {joint} from the unknown {strange[0]}.{nearest}")
        known[joint] = None
    for skeleton in dataset.skeletons.values():
        if dataset.evaluation in _NEEDS_SIGMAS and not skeleton.oks_sigmas:
            raise ValueError(
                f"{path} asks for evaluation: {dataset.evaluation}, which needs oks_sigmas in "
                f"every keypoint set. {skeleton.name} has none; add them or write evaluation: none."
            )
