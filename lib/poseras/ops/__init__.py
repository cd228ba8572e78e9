"""Non-maximum suppression of boxes and poses, and the overlaps it goes by.

Call them from here: `from poseras import ops`, `ops.nms(...)`.
"""

from .overlap import CountedJoints, box_iou, box_overlap_over_query, oks_matrix
from .reference import soft_nms, soft_oks_nms
from .suppression import nms, nms_batched, oks_nms, oks_nms_batched

__all__ = [
    "CountedJoints",
    "box_iou",
    "box_overlap_over_query",
    "nms",
    "nms_batched",
    "oks_matrix",
    "oks_nms",
    "oks_nms_batched",
    "soft_nms",
    "soft_oks_nms",
]
