"""A recipe of two sequences as TOML, which tests change."""

from __future__ import annotations

import tomllib

TEXT = """
name = "lmf-toy-av"
seed = 3

[corpus]
name = "synthetic"
[corpus.options]
samples = 40

[target]
name = "emotion"
classes = ["calm", "happy", "sad"]

[inputs.audio]
shape = [6, 4]
[inputs.audio.backbone]
name = "bilstm"
units = 8
dropout = 0.25

[inputs.video]
shape = [5]
[inputs.video.backbone]
name = "mlp"
units = [16, 8]

[fusion]
name = "low_rank"
units = 12
rank = 3

[head]
dropout = 0.1

[training]
epochs = 7
loss = "cross_entropy"
fusion_learning_rate = 0.0005
"""


def sections() -> dict:
    return tomllib.loads(TEXT)
