import numpy as np

from poseras.data.mpii_crops import list_crops
from poseras.data.mpii_release import Release

HEAD = (10.0, 10.0, 40.0, 50.0)  # a diagonal of 50: a head size of 30, so 5/3 px of the crop a px


def make_release(head, joint_xy):
    """One person with one joint, the head's top, alone on a picture."""
    details = np.full((1, 7), np.nan)
    details[0, :4] = head
    return Release(
        names=("one.jpg",),
        is_train=np.array([True]),
        picture_of_person=np.zeros(1, np.int64),
        person_of_point=np.zeros(1, np.int64),
        points=np.array([[9.0, *joint_xy, 1.0]]),
        details=details,
        single_person=((1,),),
    )


def crops(head, joint_xy):
    return list(list_crops(make_release(head, joint_xy), {0: (200, 300)}))


def test_a_crop_keeps_a_margin_around_the_joints_and_ends_at_the_picture():
    (crop,) = crops(HEAD, (120.0, 60.0))  # 200, 100 in the crop's scale, where the picture is 500
    assert crop.resized_hw == (334, 500) and crop.corners == (70, 1, 330, 230)
    assert crop.joints.tolist() == [[13, 131, 100]]


def test_people_beside_the_picture_and_heads_without_a_size_are_left_out():
    assert not crops(HEAD, (-300.0, 20.0)) and not crops(HEAD, (20.0, 900.0))
    assert not crops((10.0, 10.0, 10.0, 10.0), (120.0, 60.0))
