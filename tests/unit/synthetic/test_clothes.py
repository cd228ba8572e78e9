import numpy as np
import pytest

from poseras.synthetic.body import Phenotype, blend_shape
from poseras.synthetic.layers import Cut, Helper, garment_layer
from poseras.synthetic.outfits import cloth_picture
from poseras.synthetic.person import make_figure, sample_phenotype
from poseras.synthetic.regions import find_regions
from poseras.synthetic.skin import hairness

CLOTH = np.full((8, 8, 3), 90, np.uint8)


@pytest.mark.parametrize("group", ["helper-tights", "helper-skirt"])
@pytest.mark.parametrize("hem", [0.3, 0.62])
def test_a_hem_is_cut_straight_at_its_height(assets, group, hem):
    regions = find_regions(assets)
    every = np.arange(len(assets.vertices))
    distance = Cut(-0.1, hem).outside(assets, regions, every)
    layer = garment_layer(assets, assets.vertices, group=group, distance=distance, picture=CLOTH)
    # `down` is linear in the height over the ground, so it can be told of points as well
    line = np.polyfit(assets.vertices[:, 2], regions.down, 1)
    down = np.polyval(line, layer.points[:, 2])
    assert down.max() == pytest.approx(hem, abs=1e-3)
    assert (np.abs(down - hem) < 1e-3).sum() > 10, "a whole row of points, not one"


def test_loose_cloth_stands_off_the_helper_mesh_by_as_much(assets):
    shape = blend_shape(assets, Phenotype())
    helper = Helper.on(assets, shape, "helper-skirt")
    moved = helper.push_out(shape, np.full(len(helper.rows), 0.03))
    steps = np.linalg.norm(moved - shape.vertices, axis=1)
    np.testing.assert_allclose(steps[helper.rows], 0.03, atol=1e-5)
    assert np.count_nonzero(steps) == len(helper.rows), "nothing else moves"


def test_hair_grows_on_the_crown_and_not_on_the_mouth(assets):
    eye = find_regions(assets).eye
    crown, mouth = eye + [0, 0.08, 0.11], eye + [0, -0.02, -0.06]
    np.testing.assert_allclose(hairness(np.array([crown, mouth]), eye), [1, 0], atol=1e-3)


def test_cloth_seldom_has_the_colour_of_the_skin_below():
    rng, skin = np.random.default_rng(0), np.array([224.0, 178, 148])
    pictures = [cloth_picture(rng, skin).mean(axis=(0, 1)) for _ in range(100)]
    assert np.mean([np.abs(mean - skin).max() < 28 for mean in pictures]) < 0.05


def test_every_layer_of_a_dressed_person_is_whole(assets):
    rng = np.random.default_rng(1)
    for _ in range(6):
        phenotype = sample_phenotype(rng)
        figure = make_figure(assets, rng, phenotype, blend_shape(assets, phenotype))
        assert len(figure.layers) >= 3, "a body and something to wear"
        for layer in figure.layers:
            assert layer.triangles.min() >= 0 and layer.triangles.max() < len(layer.points)
            assert layer.uv.shape == (len(layer.triangles), 3, 2)
            assert layer.picture.dtype == np.uint8 and np.isfinite(layer.points).all()
            rigid = layer.rows is None
            assert (layer.bone in assets.bones) if rigid else len(layer.rows) == len(layer.points)
