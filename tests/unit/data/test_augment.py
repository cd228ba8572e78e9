from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from poseras.data import augment
from poseras.geometry import compose_affine, mirror_matrix, view_matrix
from poseras.structures import Augmentation, View

VIEW = View("person_box", size_hw=(64, 48))
COCO_LIKE = ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_ankle")


def scripted(samples=1, **values):
    """Draws that change nothing but what is given."""
    calm = {
        "n_scale": np.zeros(samples),
        "u_rotation": np.ones(samples),
        "n_rotation": np.zeros(samples),
        "u_flip": np.ones(samples),
        "u_half_body": np.ones((samples, 2)),
        "u_colour": np.full((samples, 3), 0.5),
        "u_occlusion": np.ones(samples),
        "u_rectangle": np.full((samples, 5), 0.5),
        "paint_keys": np.zeros(samples, np.uint64),
        "u_shift": np.ones((samples, 3)),
        "u_grey": np.ones(samples),
        "u_tint": np.ones((samples, 6)),
        "u_blur": np.ones((samples, 2)),
    }
    return augment.Draws(**(calm | {name: np.asarray(value) for name, value in values.items()}))


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_known_answers_of_its_authors(counter, key, words):
    result = augment.philox_4x32(np.array(counter, np.uint64), key)
    assert " ".join(f"{int(word):08x}" for word in result) == words


def test_a_draw_depends_on_seed_pass_and_row_and_on_nothing_else():
    rows = np.random.default_rng(0).permutation(1000)
    passes = rows % 7
    together = augment.draw(5, passes, rows)
    for place in (0, 1, 17, 998, 999):
        alone = augment.draw(5, passes[place : place + 1], rows[place : place + 1])
        for field in fields(augment.Draws):
            np.testing.assert_array_equal(
                getattr(alone, field.name)[0], getattr(together, field.name)[place]
            )


@pytest.mark.parametrize("other", [(6, 0, 3), (5, 1, 3), (5, 0, 4), (5 + 2**32, 0, 3)])
def test_another_seed_pass_or_row_changes_every_draw(other):
    seed, number, row = other
    one = augment.draw(5, np.array([0]), np.array([3]))
    two = augment.draw(seed, np.array([number]), np.array([row]))
    for field in fields(augment.Draws):
        assert (getattr(one, field.name) != getattr(two, field.name)).all(), field.name


def test_draws_have_the_moments_of_their_laws():
    draws = augment.draw(1, np.zeros(20000, int), np.arange(20000))
    for normal in (draws.n_scale, draws.n_rotation):
        # Five standard errors of mean and deviation of 20,000 numbers.
        assert abs(normal.mean()) < 0.036
        assert abs(normal.std() - 1) < 0.025
    for uniform in (draws.u_rotation, draws.u_flip, draws.u_occlusion, *draws.u_half_body.T):
        assert abs(uniform.mean() - 0.5) < 0.011
        assert 0 < uniform.min() < 0.001
        assert 0.999 < uniform.max() < 1
    correlations = np.corrcoef(
        np.stack([draws.n_scale, draws.n_rotation, draws.u_flip, draws.u_rotation])
    )
    assert np.abs(correlations - np.eye(4)).max() < 0.036


def test_a_placement_without_draws_is_the_grown_box():
    placement = augment.place_people(np.array([[10.0, 20, 30, 40]]), VIEW)
    np.testing.assert_allclose(placement.boxes_xywh, [[6.25, 15, 37.5, 50]])


def test_scale_and_rotation_are_clipped_as_published():
    still = augment.place_people(np.tile([[10.0, 20, 30, 40]], (3, 1)), VIEW)
    laws = Augmentation(scale_std=0.3, rotation_std_deg=40)
    draws = scripted(3, n_scale=[-9, 0.5, 9], u_rotation=[0.6, 0.61, 0], n_rotation=[-9, 1, 1])
    moved = augment.disturb(still, np.zeros((3, 1, 3)), draws, laws)
    np.testing.assert_allclose(moved.scale, [0.7, 1.15, 1.3])
    np.testing.assert_allclose(moved.boxes_xywh[:, 2], 37.5 * moved.scale)
    np.testing.assert_allclose(moved.boxes_xywh[:, 0] + moved.boxes_xywh[:, 2] / 2, 25)
    np.testing.assert_allclose(moved.rotation_deg, [-80, 0, 40])


def test_a_shifted_box_keeps_its_size():
    still = augment.place_people(np.tile([[10.0, 20, 30, 40]], (2, 1)), VIEW)
    laws = Augmentation(shift_factor=0.2, shift_probability=0.3)
    draws = scripted(2, u_shift=[[0.31, 0, 0], [0.29, 1, 0.25]])
    moved = augment.disturb(still, np.zeros((2, 1, 3)), draws, laws)
    np.testing.assert_allclose(moved.boxes_xywh[0], still.boxes_xywh[0])
    # All of 0.2 x 37.5 to the right, half of 0.2 x 50 up.
    np.testing.assert_allclose(moved.boxes_xywh[1], [6.25 + 7.5, 15 - 5, 37.5, 50])


def test_the_default_laws_change_nothing():
    still = augment.place_people(np.array([[10.0, 20, 30, 40]]), VIEW)
    draws = augment.draw(0, np.array([0]), np.array([0]))
    moved = augment.disturb(still, np.ones((1, 6, 3)), draws, Augmentation())
    np.testing.assert_array_equal(
        augment.placement_matrices(moved, VIEW), augment.placement_matrices(still, VIEW)
    )
    assert (augment.colour_gains(draws, Augmentation()) == 1).all()


@pytest.mark.parametrize("convention", ["corner", "udp"])
def test_a_mirrored_view_is_the_view_of_the_mirrored_picture(convention):
    view = replace(VIEW, crop_convention=convention)
    box, width = np.array([[10.0, 20, 30, 40]]), 121
    placement = augment.Placement(box, np.array([33.0]), np.array([True]), np.ones(1))
    mirrored_box = box.copy()
    mirrored_box[:, 0] = width - 1 - box[:, 0] - box[:, 2]
    expected = compose_affine(
        view_matrix(mirrored_box, view.size_hw, 33.0, convention), mirror_matrix(width)
    )
    matrices = augment.placement_matrices(placement, view)
    np.testing.assert_allclose(matrices, expected, atol=1e-9)
    assert np.linalg.det(matrices[0, :, :2]) < 0


def bright_pixel_laws():
    return Augmentation(
        scale_std=0.3,
        rotation_std_deg=40,
        flip_probability=0.5,
        half_body_probability=0.5,
        half_body_min_joints=6,
    )


@pytest.mark.parametrize("convention", ["corner", "udp"])
def test_one_bright_pixel_and_its_keypoint_move_together(convention):
    view = View("person_box", size_hw=(256, 192), crop_convention=convention)
    generator = np.random.default_rng(4)
    permutation = np.array([0, 2, 1, 4, 3, 5])
    upper = augment.upper_body_joints(COCO_LIKE)
    seen = mirrored = 0
    for row in range(60):
        box = np.array([[30.0, 20, 40, 60]])
        keypoints = np.zeros((1, 6, 3))
        keypoints[0, :, 0] = generator.integers(35, 66, 6)
        keypoints[0, :, 1] = generator.integers(25, 76, 6)
        keypoints[0, :, 2] = 2
        draws = augment.draw(0, np.array([0]), np.array([row]))
        placement = augment.place_people(box, view)
        placement = augment.disturb(placement, keypoints, draws, bright_pixel_laws(), upper)
        matrices = augment.placement_matrices(placement, view)
        shown = augment.keypoints_in_view(
            keypoints,
            matrices,
            placement.mirrored,
            image_widths=np.array([121]),
            flip_permutation=permutation,
            view=view,
        )
        mirrored += int(placement.mirrored[0])
        for joint in range(6):
            source = permutation[joint] if placement.mirrored[0] else joint
            x, y = keypoints[0, source, :2].astype(int)
            picture = np.zeros((97, 121), np.uint8)
            picture[y, x] = 255
            spot = cv2.warpAffine(picture, matrices[0], view.size_hw[::-1]).astype(float)
            at_x, at_y, visibility = shown[0, joint]
            reach = np.hypot(*matrices[0, 0, :2]) * 2  # how far the light of one pixel goes
            inside = reach < at_x < 191 - reach and reach < at_y < 255 - reach
            if visibility == 0 or not inside:
                continue
            seen += 1
            light_x, light_y = spot.sum(axis=0), spot.sum(axis=1)
            centre = np.array([light_x @ np.arange(192), light_y @ np.arange(256)]) / spot.sum()
            # Rounding of the shades of a pixel that covers several view pixels.
            np.testing.assert_allclose(centre, [at_x, at_y], atol=0.1)
    assert seen > 150
    assert 15 < mirrored < 45


def place(keypoints, view=VIEW, mirrored=False):
    matrices = np.array([[[1.0, 0, 0], [0, 1, 0]]])
    return augment.keypoints_in_view(
        np.array([keypoints], float),
        matrices,
        np.array([mirrored]),
        image_widths=np.array([100]),
        flip_permutation=np.array([1, 0]),
        view=view,
    )[0]


def test_joints_outside_the_view_lose_their_visibility_and_keep_their_place():
    shown = place([[47.99, 63.99, 2], [48, 10, 1]])
    np.testing.assert_allclose(shown, [[47.99, 63.99, 2], [48, 10, 0]])
    shown = place([[-0.01, 3, 2], [0, 0, 1]])
    np.testing.assert_allclose(shown, [[-0.01, 3, 0], [0, 0, 1]])


def test_joints_outside_the_view_stay_labelled_on_request():
    shown = place([[-5, 3, 2], [500, 3, 1]], replace(VIEW, outside_joints="keep"))
    np.testing.assert_allclose(shown, [[-5, 3, 2], [500, 3, 1]])


def test_unlabelled_joints_keep_the_coordinates_of_the_mirrored_picture():
    shown = place([[10, 20, 0], [30, 40, 2]], mirrored=True)
    np.testing.assert_allclose(shown[1], [89, 20, 0])
    np.testing.assert_allclose(shown[0], [30, 40, 2])  # the affine here has no mirror in it


def test_upper_and_lower_joints_are_known_by_their_names():
    names = (*COCO_LIKE, "pelvis", "thorax", "left_big_toe", "head_top", "right_heel")
    upper = augment.upper_body_joints(names)
    assert upper.tolist() == [
        *(True, True, True, False, False, False),
        *(False, True, False, True, False),
    ]


def half(u_half_body, keypoints, min_joints=6):
    laws = Augmentation(half_body_probability=0.3, half_body_min_joints=min_joints)
    still = augment.place_people(np.array([[0.0, 0, 48, 64]]), VIEW)
    draws = scripted(u_half_body=[u_half_body])
    upper = augment.upper_body_joints(COCO_LIKE)
    moved = augment.disturb(still, keypoints, draws, laws, upper)
    return still.boxes_xywh[0], moved.boxes_xywh[0]


WHOLE = np.array([[[20, 10, 2], [10, 20, 2], [30, 20, 2], [14, 40, 1], [26, 40, 2], [20, 60, 2]]])


def test_half_a_body_is_the_box_around_its_joints_one_and_a_half_times():
    # Upper joints: x 10..30, y 10..20, mean (20, 16.67); 20 px wide becomes 30, height by 64 / 48.
    _, box = half((0.3, 0.69), WHOLE)
    np.testing.assert_allclose(box, [5, 50 / 3 - 20, 30, 40])
    # Lower joints: x 14..26, y 40..60, mean (20, 46.67); 20 px high becomes 30, width by 48 / 64.
    _, box = half((0.3, 0.71), WHOLE)
    np.testing.assert_allclose(box, [20 - 11.25, 140 / 3 - 15, 22.5, 30])


def test_nobody_is_halved_without_luck_or_with_few_joints():
    still, box = half((0.31, 0.5), WHOLE)
    np.testing.assert_array_equal(box, still)
    still, box = half((0.1, 0.5), WHOLE, min_joints=7)
    np.testing.assert_array_equal(box, still)


def test_a_half_with_two_joints_gives_way_to_the_other_half():
    few_upper = WHOLE.copy()
    few_upper[0, 0, 2] = 0
    _, box = half((0.1, 0.1), few_upper, min_joints=1)
    assert box[1] + box[3] / 2 == pytest.approx(140 / 3)
    only_one = WHOLE * np.array([1, 0, 0, 0, 0, 0])[None, :, None]
    still, box = half((0.1, 0.1), only_one, min_joints=1)
    np.testing.assert_array_equal(box, still)


def test_colour_gains_span_their_range():
    gains = augment.colour_gains(
        scripted(u_colour=[[0.0, 0.5, 1.0]]), Augmentation(colour_gain=0.2)
    )
    np.testing.assert_allclose(gains, [[0.8, 1, 1.2]], rtol=1e-6)


def test_a_pasted_rectangle_has_the_drawn_place_and_size():
    image = np.zeros((100, 100, 3), np.uint8)
    # Area 0.02 + 0.18 / 2 = 0.11 of 10,000 px; aspect 1 lies at log(1 / 0.3) / log(11).
    square = np.log(1 / 0.3) / np.log(11)
    augment.paste_rectangle(image, np.array([0.5, square, 0.5, 0.5, 0.9]), np.uint64(3))
    rows, columns = np.nonzero(image.any(axis=2))
    side = np.sqrt(1100)
    for place in (rows, columns):
        assert place.min() == round(50 - side / 2)
        assert place.max() == round(50 + side / 2) - 1
    assert len(np.unique(image[rows, columns], axis=0)) == 1  # one colour


def test_a_pasted_rectangle_of_noise_depends_on_its_key_alone():
    pasted = []
    for key in (3, 3, 4):
        image = np.zeros((64, 48, 3), np.uint8)
        augment.paste_rectangle(image, np.full(5, 0.4), np.uint64(key))
        pasted.append(image)
    np.testing.assert_array_equal(pasted[0], pasted[1])
    assert (pasted[0] != pasted[2]).any()
    assert len(np.unique(pasted[0])) > 100


def test_a_rectangle_over_the_border_is_cut():
    for corner in ((0.0, 0.0), (1.0, 1.0)):
        image = np.zeros((20, 10, 3), np.uint8)
        augment.paste_rectangle(image, np.array([1.0, 1.0, *corner, 0.9]), np.uint64(3))
        assert 0 < image.any(axis=2).sum() < 20 * 10 * 0.1


@pytest.mark.parametrize(
    ("laws", "text"),
    [
        ({"flip_probability": 1.5}, r"flip_probability must be in 0..1. Received 1.5"),
        ({"scale_std": 1.0}, r"scale_std must be at least 0 and below 1"),
        ({"rotation_std_deg": -1}, r"rotation_std_deg must not be negative"),
    ],
)
def test_impossible_laws_are_refused(laws, text):
    with pytest.raises(ValueError, match=text):
        Augmentation(**laws)
