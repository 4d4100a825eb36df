"""The fusion layers in a model of your own: build, train, save, and load in a fresh process.

    python examples/compose.py

The label is 1 where the product of one hidden direction per modality is positive: no modality, and no sum over
modalities, says anything about it. Files go to a temporary folder that is removed at the end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_lmf.data import corpora
from keras_lmf.layers import LowRankFusion

# What the fresh process runs. Importing keras_lmf.layers registers the layers with Keras: without that line,
# load_model would not know what a LowRankFusion is.
LOAD_AND_PREDICT = """
import sys
import keras
import keras_lmf.layers
import numpy as np

folder = sys.argv[1]
model = keras.saving.load_model(f"{folder}/model.keras")
inputs = dict(np.load(f"{folder}/inputs.npz"))
np.save(f"{folder}/logits.npy", model.predict(inputs, verbose=0)["emotion"])
"""


def compose(width: int) -> keras.Model:
    """Audio, video and text vectors → embeddings → low-rank fusion → one logit."""
    inputs = {name: keras.Input((width,), name=name) for name in ("audio", "video", "text")}
    embeddings = {name: keras.layers.Dense(16, name=f"{name}_embedding")(x) for name, x in inputs.items()}
    fused = LowRankFusion(units=32, rank=4, seed=0)(embeddings)
    return keras.Model(inputs, {"emotion": keras.layers.Dense(1, name="emotion")(fused)})


def main() -> None:
    keras.utils.set_random_seed(0)
    data = corpora.load("synthetic", modalities=("audio", "video", "text"), samples=6000, width=4)
    train, test = data["train"], data["test"]

    model = compose(width=4)
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)],
    )
    model.fit(train.inputs, {"emotion": train.labels[:, None]}, epochs=10, batch_size=64, verbose=0)
    logits = model.predict(test.inputs, verbose=0)["emotion"]
    print(f"test accuracy: {np.mean((logits[:, 0] > 0) == test.labels):.3f}")

    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        np.savez(Path(folder) / "inputs.npz", **test.inputs)
        subprocess.run([sys.executable, "-c", LOAD_AND_PREDICT, folder], check=True)
        loaded = np.load(Path(folder) / "logits.npy")
    print(f"largest difference after loading in a fresh process: {np.abs(logits - loaded).max():.2e}")


if __name__ == "__main__":
    main()
