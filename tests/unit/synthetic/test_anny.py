"""Our body against the package's own, where it and PyTorch can be imported."""

import numpy as np
import pytest

from poseras.synthetic.activities import crouch, lunge, sit
from poseras.synthetic.anatomy import Pose, apply_pose
from poseras.synthetic.body import Phenotype, blend_shape, move_points, skin_matrices

pytestmark = pytest.mark.slow

#: Anchors of the package for baby, child, young, old, where macro.json has ours.
AGES = ([0, 0.1875, 0.5, 1], [0, 1 / 3, 2 / 3, 1])
#: Height and proportions at their ends: the package knows no neutral place between them.
PHENOTYPES = (
    Phenotype(height=1, proportions=1),
    Phenotype(gender=1, muscle=0.8, weight=0.3, height=1, proportions=0, races=(1, 0, 0)),
    Phenotype(gender=0, age=0.9, weight=0.95, height=0, proportions=1, races=(0.2, 0.5, 0.3)),
    Phenotype(gender=0.3, age=0.3, height=0, proportions=0),
    Phenotype(age=0.1875, weight=0.4, height=1, proportions=0),
)
BODY = 13380  # the first vertices of both meshes


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("torch", reason="compares with anny's own output, which needs torch")
    anny = pytest.importorskip("anny", reason="compares with anny's own output")
    return anny.models.create_fullbody_model(
        rig="default",
        topology="default",
        remove_unattached_vertices=False,
        all_phenotypes=True,
        pose_parameterization="world",
    )


def describe(phenotype):
    """A phenotype in the package's words: it counts gender and proportions the other way round."""
    races = dict(zip(("african", "asian", "caucasian"), phenotype.races, strict=True))
    return {
        "gender": 1 - phenotype.gender,
        "age": float(np.interp(phenotype.age, *AGES)),
        "proportions": 1 - phenotype.proportions,
        **{n: getattr(phenotype, n) for n in ("muscle", "weight", "height")},
        **races,
    }


def their_rest(model, phenotype):
    import torch

    with torch.no_grad():
        weights = model.get_phenotype_blendshape_coefficients(**describe(phenotype))
        rest = model.get_rest_model(weights)
    return {name: value[0].numpy() for name, value in rest.items()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("number", range(len(PHENOTYPES)))
def test_rest_bodies_equal_the_packages_own(assets, model, number):
    theirs = their_rest(model, PHENOTYPES[number])
    ours = blend_shape(assets, PHENOTYPES[number])
    assert np.abs(theirs["rest_vertices"][:BODY] - ours.vertices[:BODY]).max() < 1e-5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("activity", [None, sit, crouch, lunge])
def test_posed_bodies_equal_the_packages_own(assets, model, activity):
    import torch

    phenotype = PHENOTYPES[1]
    shape = blend_shape(assets, phenotype)
    pose = activity(np.random.default_rng(1)).pose if activity else Pose(lean=20)
    posture = apply_pose(assets, shape, pose)
    order = [assets.bones.index(label) for label in model.bone_labels]
    moved = np.tile(np.eye(4), (len(order), 1, 1))
    moved[:, :3, :3], moved[:, :3, 3] = posture.rotations[order], posture.offsets[order]
    rest = their_rest(model, phenotype)["rest_bone_poses"]
    with torch.no_grad():
        theirs = model(torch.from_numpy(moved @ rest)[None], describe(phenotype))
    ours = move_points(skin_matrices(assets, posture), shape.vertices)
    difference = np.abs(theirs["vertices"][0].numpy()[:BODY] - ours[:BODY])
    assert difference.max() < 1e-5
