"""Sound in the graph, so that training, Python and the phone compute the same features: level, mel spectra, MFCC."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers import spectral
from keras_lmf.layers.base import Float32Layer, Shape, Tensor

FILTERS = "mel_filters"


@keras.saving.register_keras_serializable("keras_lmf")
class LevelNormalization(Float32Layer):
    """Scales each waveform so that the root mean square of its samples that are not zero is `level`.

    So padding does not count, and a clip of zeros stays one. Always computed in float32. What grows beyond [-1, 1] is
    not clipped.

    Input and output: (batch, samples).

    Args:
        level: in decibels relative to full scale (an RMS of 1), ≤ 0.

    >>> import numpy as np
    >>> clip = np.array([[0.5, -0.5, 0.0, 0.0]], "float32")
    >>> np.asarray(LevelNormalization(level=-20)(clip)).astype(float).round(3).tolist()
    [[0.1, -0.1, 0.0, 0.0]]
    """

    ARGUMENTS = ("level",)
    LEAST = 1e-10  # mean square: what is quieter than -100 dB stays quieter than `level`

    def __init__(self, level: float = -30.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not level <= 0:
            raise LMFError(f"{self.name}: level must be at most 0 dB, received {level!r}")
        self.level = level

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(inputs, "float32")
        count = ops.sum(ops.cast(ops.not_equal(inputs, 0), "float32"), axis=-1, keepdims=True)
        power = ops.sum(ops.square(inputs), axis=-1, keepdims=True) / ops.maximum(count, 1.0)
        return inputs * ops.rsqrt(ops.maximum(power, self.LEAST)) * 10 ** (self.level / 20)


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
        if not 1 <= (fft_length if window_length is None else window_length) <= fft_length:
            raise LMFError(
                f"{self.name}: window_length must be 1 … fft_length={fft_length}, received {window_length!r}"
            )
        if not 0 <= self.lowest < self._highest <= self.sample_rate / 2:
            raise LMFError(
                f"{self.name}: filters need 0 ≤ lowest < highest ≤ {self.sample_rate / 2:g} Hz, received "
                f"lowest={self.lowest!r}, highest={self._highest!r}"
            )

    @property
    def _highest(self) -> float:
        return self.sample_rate / 2 if self.highest is None else self.highest

    def build(self, input_shape: Shape) -> None:
        self.require_axes(input_shape, 2, "waveforms (batch, samples) of known length")
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
        return (input_shape[0], self._count(input_shape[1]), self.bands)


def _parts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return matrix.real.astype("float32"), matrix.imag.astype("float32")


@keras.saving.register_keras_serializable("keras_lmf")
class LogMelSpectrogram(MelSpectrogram):
    """Waveform → decibels in mel bands, as `librosa.power_to_db` of librosa's mel spectrogram.

    10 · log10(power), of at least 1e-10, and not further than `dynamic_range` below the loudest band of the same clip.
    (Keras's own `MelSpectrogram` takes the loudest of the batch: a clip's features depend on its neighbours.)

    A frame whose samples are all 0 is a row of zeros: padding, which `keras.layers.Masking` reads as absent.

    Input: (batch, samples) in [-1, 1]. Output: (batch, 1 + samples // hop, bands).

    Args:
        dynamic_range: in dB, > 0; None: no limit.
        sample_rate, fft_length, hop, bands, window_length, lowest, highest: as `MelSpectrogram`.

    >>> import numpy as np
    >>> silence = np.zeros((1, 16000), "float32")
    >>> bool((np.asarray(LogMelSpectrogram()(silence)) == 0).all())
    True
    """

    ARGUMENTS = (*MelSpectrogram.ARGUMENTS, "dynamic_range")
    FLOOR = 1e-10

    def __init__(self, *args: Any, dynamic_range: float | None = 80.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if dynamic_range is not None and not dynamic_range > 0:
            raise LMFError(f"{self.name}: dynamic_range must be above 0 dB, received {dynamic_range!r}")
        self.dynamic_range = dynamic_range

    def call(self, inputs: Tensor) -> Tensor:
        power = super().call(inputs)
        decibels = ops.log(ops.maximum(power, self.FLOOR)) * (10 / math.log(10))
        if self.dynamic_range is not None:
            loudest = ops.max(decibels, axis=(1, 2), keepdims=True)
            decibels = ops.maximum(decibels, loudest - self.dynamic_range)
        sounds = ops.any(ops.greater(power, 0), axis=-1, keepdims=True)
        return ops.where(sounds, decibels, ops.zeros_like(decibels))


@keras.saving.register_keras_serializable("keras_lmf")
class MFCC(LogMelSpectrogram):
    """Waveform → mel-frequency cepstral coefficients, as `librosa.feature.mfcc`.

    The orthonormal cosine transform (DCT-II) of `LogMelSpectrogram`'s decibels. Davis & Mermelstein 1980.

    Input: (batch, samples) in [-1, 1]. Output: (batch, 1 + samples // hop, coefficients); padding frames are zero.

    Args:
        coefficients: how many, from the 0th on; at most `bands`.
        dynamic_range, sample_rate, fft_length, hop, bands, window_length, lowest, highest: as `LogMelSpectrogram`.

    >>> import numpy as np
    >>> MFCC(coefficients=13)(np.ones((2, 16000), "float32")).shape[1:] == (101, 13)
    True
    """

    ARGUMENTS = (*LogMelSpectrogram.ARGUMENTS, "coefficients")

    def __init__(self, *args: Any, coefficients: int = 20, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(coefficients, int) or not 1 <= coefficients <= self.bands:
            raise LMFError(
                f"{self.name}: coefficients must be 1 … bands={self.bands}, received {coefficients!r}"
            )
        self.coefficients = coefficients

    def build(self, input_shape: Shape) -> None:
        self._cosines = spectral.cosine_transform(self.bands, self.coefficients).astype("float32")
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.matmul(super().call(inputs), self._cosines)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*super().compute_output_shape(input_shape)[:-1], self.coefficients)
