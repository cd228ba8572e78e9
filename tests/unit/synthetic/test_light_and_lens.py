import numpy as np

from poseras.synthetic.lens import photograph, soften_edges
from poseras.synthetic.rotations import unit
from poseras.synthetic.shading import Lighting, Mesh, draw_shadow_map

GREY = np.ones(3)


def plate(height):
    """A level square of 1 m, its middle over the origin."""
    corners = np.array([[x, y, height] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    return Mesh(
        points=corners,
        triangles=np.array([[0, 1, 3], [0, 3, 2]], np.int32),
        uv=np.zeros((2, 3, 2), np.float32),
        picture=np.zeros(2, np.int32),
        owner=np.zeros(2, np.int32),
        pictures=(np.zeros((1, 1, 3), np.uint8),),
        texels_per_metre=(1.0,),
        gloss=(0.0,),
    )


def test_a_plate_shades_what_lies_behind_it_as_the_lamp_sees_it():
    towards = unit(np.array([0.3, 0, 1]))
    shadows = draw_shadow_map(plate(1.0), Lighting(towards, GREY, GREY, GREY, 0.0))
    # the middle of the shadow lies 0.3 m aside for each metre below
    lit = shadows.lit(np.array([[-0.3, 0, 0], [0, 0, 1.4], [0.35, 0, 0], [-0.75, 0, 0], [9, 9, 0]]))
    assert lit.tolist() == [0, 1, 1, 0, 1]


def test_only_pixels_beside_an_edge_of_labels_are_softened():
    labels = np.zeros((9, 12), int)
    labels[:, 6:] = 1
    picture = np.random.default_rng(0).random((9, 12, 3)).astype(np.float32)
    softened = soften_edges(picture, labels)
    changed = (softened != picture).any(axis=(0, 2))
    assert np.flatnonzero(changed).tolist() == [5, 6]


def test_frames_that_share_the_lens_differ_by_their_grain_alone():
    picture = np.full((60, 80, 3), 0.5, np.float32)
    first, again, other = (
        photograph(np.random.default_rng(0), picture, np.random.default_rng(grain), clean=True)
        for grain in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.uint8 and first.shape == picture.shape
    assert 0 < np.abs(first.astype(int) - other).mean() < 8
    assert abs(first.mean() - other.mean()) < 0.5
