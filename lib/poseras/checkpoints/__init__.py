"""Foreign checkpoint files, read into plain dicts of arrays: one file a format."""

from .files import checkpoint_sha256, detect_format, read_checkpoint
from .pytorch import read_pytorch_file
from .tensorflow1 import read_tf1_checkpoint, tf1_checkpoint_exists, write_tf1_checkpoint

__all__ = [
    "checkpoint_sha256",
    "detect_format",
    "read_checkpoint",
    "read_pytorch_file",
    "read_tf1_checkpoint",
    "tf1_checkpoint_exists",
    "write_tf1_checkpoint",
]
