import pytest

from poseras.systems.integral_3d.options import Options, default_view


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": (256, 190)}, r"divisible by the stride 32. Received \(256, 190\)"),
        ({"depth": 20}, "depth must be one of .* Received 20"),
        ({"backbone_width": 0}, "must be positive. Received 0"),
        ({"batch_norm_momentum": 1.0}, r"must be in \[0, 1\). Received 1.0"),
        ({"head_filters": (8, 8)}, "one value per transposed convolution"),
        ({"head_filters": (8, 0, 8)}, "head_filters must be positive"),
        ({"head_kernels": (4, 4, 5)}, "must be 2, 3 or 4 each"),
        ({"final_kernel": 2}, "final_kernel must be 1 or 3. Received 2"),
        ({"depth_bins": 1}, "depth_bins must be at least 2.* Received 1"),
        ({"box_mm": (2000.0, 2000.0, 0.0)}, "depth, height and width in mm, all positive"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"bone_length_mm": 0.0}, "bone_length_mm must be positive"),
        ({"volume_weight": -1.0}, "must not be negative. Received 1.0 and -1.0"),
        ({"coordinate_weight": 0.0}, "A network needs a loss"),
        ({"coordinate_weight": 0.0, "volume_loss": "binary", "volume_weight": 0.0}, "needs a loss"),
        ({"head": "direct", "volume_loss": "binary"}, "head=direct has no volumes"),
        ({"read_out": "peak", "volume_loss": "binary"}, "needs coordinate_weight=0. Received 1.0"),
        ({"input_normalisation": "none"}, "input_normalisation must be one of"),
    ],
)
def test_a_wrong_value_names_rule_and_value(changes, message):
    with pytest.raises(ValueError, match=message):
        Options(**changes)


def test_volumes_follow_input_and_head():
    options = Options(input_shape=(384, 288), depth_bins=72)
    assert options.volume_dhw == (72, 96, 72)
    assert Options(head_filters=(8, 8), head_kernels=(4, 4)).volume_dhw == (64, 32, 32)


def test_raw255_divides_by_the_statistics_of_the_small_scale():
    assert Options().pixel_mean == pytest.approx((123.675, 116.28, 103.53))
    assert Options(input_normalisation="raw255").pixel_std == (0.229, 0.224, 0.225)


def test_the_view_shows_the_box_of_the_volumes_and_drops_what_they_drop():
    options = Options(box_mm=(1.0, 1980.0, 1485.0), input_shape=(384, 288), outside_joints="keep")
    view = default_view(options)
    assert (view.rule, view.size_hw, view.box_mm) == ("root_box_3d", (384, 288), (1980.0, 1485.0))
    assert view.outside_joints == "keep"


def test_depth_in_the_view_asks_for_boxes_of_people_who_are_known_in_space():
    view = default_view(Options(depth_unit="view"))
    assert (view.rule, view.margin, view.root_box_mm) == ("person_box", 1.25, (2000.0, 2000.0))
    assert default_view(Options()).root_box_mm == (2000.0, 2000.0)
