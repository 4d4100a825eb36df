"""Compares tensorflow-io's audio ops with reference.npz. One line makes an environment and runs it (Python 3.11):

    python3.11 -m venv io && io/bin/pip install tensorflow-cpu==2.17.1 tensorflow-io==0.37.1 keras==3.15.1 && \\
        io/bin/python tests/interop/check_tensorflow_io.py FOLDER/reference.npz

FOLDER is that of write_reference.py. `--python-ops` leaves out the ops that need tensorflow-io's native library.
"""

from __future__ import annotations

import argparse

import numpy as np
import tensorflow as tf
import tensorflow_io as tfio
from side_by_side import Comparison


def python_ops(reference: dict[str, np.ndarray], compare: Comparison) -> None:
    """Those that tensorflow-io composes of TensorFlow's own ops; each starts from the reference's own step before."""
    rate, fft, window, stride, mels, low, high, top_db = reference["settings"].tolist()
    spectrogram = tfio.audio.spectrogram(reference["signal"], int(fft), int(window), int(stride))
    compare("spectrogram", spectrogram, reference["spectrogram"], 1e-5)
    magnitudes = tf.constant(reference["spectrogram"], tf.float32)
    mel = tfio.audio.melscale(magnitudes, int(rate), int(mels), low, high)
    compare("melscale", mel, reference["mel"], 1e-5)
    decibel = tfio.audio.dbscale(tf.constant(reference["mel"], tf.float32), top_db=top_db)
    compare("dbscale", decibel, reference["decibel"], 1e-5)
    compare("all three", tfio.audio.dbscale(tfio.audio.melscale(spectrogram, int(rate), int(mels), low, high), top_db),
            reference["decibel"], 1e-4)  # fmt: skip
    # What is masked is drawn at random, so: only whole rows or columns are zero, and the rest is as it was.
    for op, axis in ((tfio.audio.freq_mask, 0), (tfio.audio.time_mask, 1)):
        masked = op(magnitudes, param=10).numpy()
        lines = (masked == 0).all(axis=axis, keepdims=True)
        compare(op.__name__, masked, np.where(lines, 0, magnitudes), 0)


def native_ops(reference: dict[str, np.ndarray], compare: Comparison) -> None:
    """Those of tensorflow-io's native library, which loads with few versions of TensorFlow."""
    decoded = tfio.audio.decode_wav(reference["wav"].tobytes(), dtype=tf.int16)
    compare("decode_wav", decoded[:, 0], reference["samples"], 0)
    rate = int(reference["settings"][0])
    halved = tfio.audio.resample(reference["tones"], rate, rate // 2)
    # tensorflow-io's filter delays by 32 samples of the output, and at the ends it meets the silence around.
    compare("resample", halved[132:-68], reference["half_rate"][100:-100], 1e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("reference", help="reference.npz")
    parser.add_argument("--python-ops", action="store_true", help="only the ops without native code")
    arguments = parser.parse_args()
    print(f"tensorflow {tf.__version__}, tensorflow-io {tfio.__version__}, numpy {np.__version__}")
    reference, compare = dict(np.load(arguments.reference)), Comparison()
    python_ops(reference, compare)
    if not arguments.python_ops:
        native_ops(reference, compare)
    compare.finish()


if __name__ == "__main__":
    main()
