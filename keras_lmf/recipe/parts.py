"""The sections of a recipe: one class for each word that it may use."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from keras_lmf.recipe.basics import Count, Counts, Media, Network, Noise, Part, Positive, Rate, Width
from keras_lmf.recipe.front_ends import FrontEnd, Waveform
from keras_lmf.spec import MEDIA, InputSpec


class Regularised(Network):
    """What every backbone for features can do against overfitting; see `backbones.mlp`."""

    input_dropout: Rate = 0.0
    input_noise: Noise = 0.0
    dropout: Rate = 0.0


class MLP(Regularised):
    """Vector → embedding: `backbones.mlp`."""

    name: Literal["mlp"]
    units: Counts = (64,)


class AveragePooling(Regularised):
    """Sequence → embedding: `backbones.average_pooling`."""

    name: Literal["average_pooling"]
    units: Counts = (64,)


class Recurrent(Regularised):
    """Sequence → embedding: `backbones.lstm`, `backbones.bilstm` or `backbones.gru`."""

    name: Literal["lstm", "bilstm", "gru"]
    units: Count = 64


class Convolution(Regularised):
    """Sequence → embedding: `backbones.temporal_convolution`."""

    name: Literal["temporal_convolution"]
    filters: Counts = (64, 64)
    kernel_size: Count = 5
    units: Count = 64


class PublishedFeature(Network):
    """Vector → embedding, the published sub-network: `backbones.published_feature_network`."""

    name: Literal["published_feature"]
    units: Count = 32
    dropout: Rate = 0.0


class PublishedText(Network):
    """Sequence → embedding, the published sub-network: `backbones.published_text_network`."""

    name: Literal["published_text"]
    hidden_units: Count = 128
    units: Count = 64
    dropout: Rate = 0.0


class CNN2Plus1D(Network):
    """(frames, height, width, channels) → embedding: `backbones.cnn_2plus1d`."""

    media = "frames"
    name: Literal["cnn_2plus1d"]
    filters: Annotated[Counts, Field(min_length=1)] = (16, 32, 64)
    units: Count = 64
    dropout: Rate = 0.0


class I3D(Network):
    """(frames, height, width, 3) → embedding: `backbones.i3d`."""

    media = "frames"
    name: Literal["i3d"]
    units: Count = 64
    dropout: Rate = 0.0


class Spectrogram(Regularised):
    """(steps, bands) → embedding: `backbones.spectrogram_cnn` or `backbones.spectrogram_crnn`."""

    name: Literal["spectrogram_cnn", "spectrogram_crnn"]
    filters: Counts = (16, 32, 64)
    units: Count = 64
    band_width: Width = 0
    step_width: Width = 0


class ImageCNN(Network):
    """(height, width, channels) → embedding: `backbones.image_cnn`."""

    media = "frames"
    name: Literal["image_cnn"]
    filters: Annotated[Counts, Field(min_length=1)] = (16, 32, 64, 128, 192)
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: Rate = 0.0
    zoom: Rate = 0.0
    erasing: Rate = 0.0
    dropout: Rate = 0.0
    mirror: bool = False


Backbone = Annotated[
    MLP
    | AveragePooling
    | Recurrent
    | Convolution
    | Spectrogram
    | ImageCNN
    | CNN2Plus1D
    | I3D
    | PublishedFeature
    | PublishedText,
    Field(discriminator="name"),
]


class Modality(Part):
    """One input.

    Attributes:
        shape: without the batch axis: (width,), (steps, width), (samples,) of a waveform, or (frames, height, width,
            channels) of video, or without the first of one picture.
        frame_rate: of video or pictures, how many a second; None: of anything else, or unknown.
        front_end: what makes features of a waveform or of frames, inside the model; None: the input holds features,
            or frames that the backbone takes.
        backbone: features or frames → embedding.
    """

    shape: Counts
    frame_rate: Positive | None = None
    front_end: FrontEnd | None = None
    backbone: Backbone

    @model_validator(mode="after")
    def _rate_of_frames(self) -> Modality:
        if self.frame_rate is not None and self.media != "frames":
            raise ValueError("frame_rate is for frames; neither front_end nor backbone takes any")
        return self

    @property
    def media(self) -> Media | None:
        """What of a media file fills it; None: features."""
        return (self.front_end or self.backbone).media

    @property
    def rate(self) -> float | None:
        """Samples or frames a second."""
        return self.front_end.sample_rate if isinstance(self.front_end, Waveform) else self.frame_rate

    @property
    def spec(self) -> InputSpec:
        """What fills it."""
        unit = MEDIA[self.media].unit if self.media else None
        return InputSpec(shape=self.shape, media=self.media, rate=self.rate, unit=unit)


class Presence(Part):
    """An input that is all zeros is absent: its embedding is zero, and the fusion's terms without it remain.

    Without this section every modality is taken to be there.

    Attributes:
        dropout: rate at which training takes a modality away from a sample that has others.
    """

    dropout: Rate = 0.0


class Early(Part):
    """Concatenation: `layers.EarlyFusion`."""

    name: Literal["early"]


class Tensor(Part):
    """Outer product: `layers.TensorFusion`."""

    name: Literal["tensor"]


class LowRank(Part):
    """Low-rank multimodal fusion: `layers.LowRankFusion`."""

    name: Literal["low_rank"]
    units: Count = 64
    rank: Count = 4
    initialization: Literal["variance_preserving", "reference"] = "variance_preserving"


class NoFusion(Part):
    """One modality: there is nothing to fuse."""

    name: Literal["none"]


Fusion = Annotated[NoFusion | Early | Tensor | LowRank, Field(discriminator="name")]


class Head(Part):
    """What follows the fusion: dropout, then hidden ReLU layers with dropout, then one linear layer."""

    units: Counts = ()
    dropout: Rate = 0.0


class Corpus(Part):
    """Which corpus, and the options of its loader (see `keras_lmf.data.corpora`)."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


Span = tuple[float, float]


class Augmentation(Part):
    """Changed copies of the training split's waveforms, (lowest, highest) of each change: `data.Augmentation`.

    `noise_db = "none"` adds no noise.
    """

    copies: Annotated[int, Field(ge=2, le=64)] = 2
    gain_db: Span = (-6.0, 6.0)
    noise_db: Span | Literal["none"] = (15.0, 40.0)
    shift_seconds: Span = (-0.1, 0.1)
    speed: Span = (0.9, 1.1)


class Training(Part):
    """How to train.

    Attributes:
        fusion_learning_rate: the separate rate of the fusion layer's weights (Liu et al. 2018).
        fit_on: "train", with early stopping on "valid"; or "train + valid" for a last fit with all settings chosen:
            it runs for all `epochs` and keeps the last weights.
        output_bias: where the output layer's bias starts. "label_mean", for a target with a range: at the mean label
            of the training rows, which saves a small learning rate the way there.
        monitor: what chooses the epoch on "valid": "loss", or "pearson", the correlation, for a target with a range.
        schedule: of the learning rates: "cosine" lets them fall to 0 at the end of `epochs` (Loshchilov & Hutter 2017).
        label_smoothing: for classes: the share of each label that is spread evenly over all (Szegedy et al. 2016).
        augmentation: of waveforms; None: none.
    """

    epochs: Count = 100
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    fusion_learning_rate: Positive | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    loss: Literal["cross_entropy", "mae", "mse", "huber"]
    label_smoothing: Rate = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    patience: Count = 10
    fit_on: Literal["train", "train + valid"] = "train"
    output_bias: Literal["zeros", "label_mean"] = "zeros"
    monitor: Literal["loss", "pearson"] = "loss"
    augmentation: Augmentation | None = None
