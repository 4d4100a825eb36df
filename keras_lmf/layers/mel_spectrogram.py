"""Mel power spectrogram, in the graph: the same features in training, in Python and on the phone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers import spectral
from keras_lmf.layers.base import Float32Layer, Shape, Tensor

FILTERS = "mel_filters"


@keras.saving.register_keras_serializable("keras_lmf")
class MelSpectrogram(Float32Layer):
    """Waveform → power in mel bands, as `librosa.feature.melspectrogram` with its defaults.

    Hann windows around every `hop`-th sample (zeros beyond both ends), power spectrum, Slaney's mel filters. Each row
    is computed by itself: no number depends on its neighbours in the batch. It is always computed in float32.

    A frame whose samples are all 0 is a row of zeros: padding, which `keras.layers.Masking` reads as absent.

    The Fourier transform is two products with small constant matrices (Cooley and Tukey 1965, for two factors of
    `fft_length`), so it needs no length of a power of two and no FFT op, converts to builtin TFLite ops, and adds a few
    kilobytes to a file.

    Input: (batch, samples) in [-1, 1]. Output: (batch, 1 + samples // hop, bands).

    Args:
        sample_rate: of the waveform, in Hz.
        fft_length: samples of a frame, ≥ `window_length`.
        hop: samples from one frame to the next.
        bands: mel bands.
        window_length: samples under the window, in the middle of the frame; None: `fft_length`.
        lowest: lowest frequency of the filters, in Hz.
        highest: highest one, in Hz; None: half of `sample_rate`.

    Raises:
        LMFError: an argument out of its range, or a waveform of unknown length.

    >>> import numpy as np
    >>> MelSpectrogram(bands=40)(np.ones((2, 16000), "float32")).shape[1:] == (101, 40)
    True
    """

    AXES = ("batch", "samples")
    NUMBERS = ("float", "bfloat")  # integers would not be in [-1, 1]
    ARGUMENTS = ("sample_rate", "fft_length", "hop", "bands", "window_length", "lowest", "highest")

    def __init__(
        self,
        sample_rate: int = 16000,
        fft_length: int = 512,
        hop: int = 160,
        bands: int = 64,
        window_length: int | None = None,
        lowest: float = 0.0,
        highest: float | None = None,
        **kwargs: Any,
    ) -> None:
        # Float32: powers leave float16's range, and eight bits of mantissa would spoil the transform.
        super().__init__(**kwargs)
        self.sample_rate = sample_rate
        self.fft_length = fft_length
        self.hop = hop
        self.bands = bands
        self.window_length = window_length
        self.lowest = lowest
        self.highest = highest
        self.require_whole(1, "sample_rate", "fft_length", "hop", "bands")
        if window_length is not None:
            self.require_whole(1, "window_length", most=fft_length)
        self.require_number(0, sample_rate / 2, "lowest", *(() if highest is None else ("highest",)))
        if not self.lowest < self._highest:
            raise LMFError(
                f"{self.name}: filters need 0 ≤ lowest < highest ≤ {self.sample_rate / 2:g} Hz, received "
                f"lowest={self.lowest!r}, highest={self._highest!r}"
            )

    @property
    def _highest(self) -> float:
        return self.sample_rate / 2 if self.highest is None else self.highest

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        length = self.fft_length
        first, second = spectral.factors(length)
        window = spectral.hann_window(self.window_length or length, length)
        # n = second · n1 + n2: the window lies as the frames do.
        self._window = window.reshape(first, second).astype("float32")
        self._inner = _parts(spectral.dft(first))
        self._twiddles = _parts(spectral.twiddles(first, second))
        # The other half of the spectrum is the mirror image.
        self._outer = _parts(spectral.dft(second)[:, : second // 2 + 1])
        self._filters = spectral.mel_filters(
            self.sample_rate, length, self.bands, self.lowest, self._highest
        ).astype("float32")

    def call(self, inputs: Tensor) -> Tensor:
        power = self._power(self._frames(ops.cast(inputs, "float32")))
        # The scope tells the quantiser which weights may be int8.
        with keras.name_scope(FILTERS):
            return ops.matmul(power, self._filters)

    def _frames(self, waveform: Tensor) -> Tensor:
        """(batch, frames, fft_length): the samples around each multiple of the hop."""
        count = self._count(waveform.shape[1])
        hops = -(-self.fft_length // self.hop)
        half = self.fft_length // 2
        needed = (count - 1 + hops) * self.hop
        after = max(0, needed - half - waveform.shape[1])
        padded = ops.pad(waveform, ((0, 0), (half, after)))[:, :needed]
        # Whole hops lie beside one another: a few slices make the frames, where a gather would copy each by itself.
        blocks = ops.reshape(padded, (-1, count - 1 + hops, self.hop))
        frames = ops.concatenate([blocks[:, i : i + count] for i in range(hops)], axis=-1)
        return frames[..., : self.fft_length]

    def _power(self, frames: Tensor) -> Tensor:
        """(batch, frames, 1 + fft_length // 2): squared magnitudes of the windowed frames' spectrum.

        With n = second · n1 + n2 and k = k1 + first · k2: a transform over n1, a factor for (k1, n2), one over n2.
        """
        count, (first, second) = frames.shape[1], self._window.shape
        # `ops`, not `*`: PyTorch's operators take no NumPy array where a gradient passes.
        frames = ops.multiply(ops.reshape(frames, (-1, count, first, second)), self._window)
        frames = ops.transpose(frames, (0, 1, 3, 2))
        re, im = (ops.transpose(ops.matmul(frames, part), (0, 1, 3, 2)) for part in self._inner)
        for product, (cosine, sine) in ((ops.multiply, self._twiddles), (ops.matmul, self._outer)):
            re, im = product(re, cosine) - product(im, sine), product(re, sine) + product(im, cosine)
        power = ops.transpose(ops.square(re) + ops.square(im), (0, 1, 3, 2))
        power = ops.reshape(power, (-1, count, first * (second // 2 + 1)))
        return power[..., : 1 + self.fft_length // 2]

    def _count(self, samples: int) -> int:
        """Frames of a waveform: one around each multiple of the hop that the padded waveform holds in full."""
        return 1 + (samples + 2 * (self.fft_length // 2) - self.fft_length) // self.hop

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.require_shape(input_shape)
        return (input_shape[0], self._count(input_shape[1]), self.bands)


def _parts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return matrix.real.astype("float32"), matrix.imag.astype("float32")
