"""The sections of a recipe: one class for each word that it may use."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Rate = Annotated[float, Field(ge=0, lt=1)]
Noise = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
# What an honest recipe stays far below. A recipe may be a stranger's: `zoo.load` builds what it says.
Count = Annotated[int, Field(ge=1, le=2**20)]
Counts = Annotated[tuple[Count, ...], Field(max_length=32)]
Width = Annotated[int, Field(ge=0, le=4096)]
Bands = Annotated[int, Field(ge=1, le=256)]


class Part(BaseModel):
    """A frozen section of a recipe; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Regularised(Part):
    """What every backbone for features can do against overfitting; see `backbones.mlp`."""

    name: str
    input_dropout: Rate = 0.0
    input_noise: Noise = 0.0
    dropout: Rate = 0.0


class MLP(Regularised):
    """Vector → embedding: `backbones.mlp`."""

    name: Literal["mlp"]
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


class PublishedFeature(Part):
    """Vector → embedding, the published sub-network: `backbones.published_feature_network`."""

    name: Literal["published_feature"]
    units: Count = 32
    dropout: Rate = 0.0


class PublishedText(Part):
    """Sequence → embedding, the published sub-network: `backbones.published_text_network`."""

    name: Literal["published_text"]
    hidden_units: Count = 128
    units: Count = 64
    dropout: Rate = 0.0


class Spectrogram(Regularised):
    """(steps, bands) → embedding: `backbones.spectrogram_cnn` or `backbones.spectrogram_crnn`."""

    name: Literal["spectrogram_cnn", "spectrogram_crnn"]
    filters: Counts = (16, 32, 64)
    units: Count = 64
    band_width: Width = 0
    step_width: Width = 0


Backbone = Annotated[
    MLP | Recurrent | Convolution | Spectrogram | PublishedFeature | PublishedText,
    Field(discriminator="name"),
]


class LogMel(Part):
    """Waveform → log-mel spectrogram: `backbones.front_ends.log_mel`."""

    name: Literal["log_mel"]
    sample_rate: Count = 16000
    bands: Bands = 64


class MFCC(Part):
    """Waveform → mel-frequency cepstral coefficients: `backbones.front_ends.mfcc`."""

    name: Literal["mfcc"]
    sample_rate: Count = 16000
    bands: Bands = 64
    coefficients: Bands = 20


class GE2E(Part):
    """Waveform → states of the GE2E speaker encoder: `backbones.front_ends.ge2e`.

    Attributes:
        layers: that are tapped.
        pretrained: name of the zoo's backbone whose weights a training starts from.
    """

    name: Literal["ge2e"]
    sample_rate: Literal[16000] = 16000
    layers: Annotated[tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(min_length=1, max_length=4)] = (2,)
    pretrained: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "ge2e"


LandmarkFeature = Literal["coordinates", "velocities", "distances"]
LandmarkStatistic = Literal["mean", "log_deviation", "log_change", "quarters"]


class Landmarks(Part):
    """Face landmarks → features of each frame: `backbones.landmarks.landmarks`."""

    name: Literal["landmarks"]
    features: Annotated[tuple[LandmarkFeature, ...], Field(min_length=1, max_length=3)] = (
        "coordinates",
        "velocities",
        "distances",
    )


class LandmarkStatistics(Part):
    """Face landmarks → statistics over the clip: `backbones.landmarks.landmark_statistics`."""

    name: Literal["landmark_statistics"]
    features: Annotated[tuple[LandmarkFeature, ...], Field(min_length=1, max_length=3)] = ("distances",)
    statistics: Annotated[tuple[LandmarkStatistic, ...], Field(min_length=1, max_length=4)] = (
        "mean",
        "log_deviation",
        "log_change",
        "quarters",
    )


FrontEnd = Annotated[LogMel | MFCC | GE2E | Landmarks | LandmarkStatistics, Field(discriminator="name")]


class Modality(Part):
    """One input.

    Attributes:
        shape: without the batch axis: (width,), (steps, width), or (samples,) of a waveform.
        front_end: what makes features of a waveform, inside the model; None: the input holds features.
        backbone: features → embedding.
    """

    shape: Counts
    front_end: FrontEnd | None = None
    backbone: Backbone


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
    options: dict[str, Any] = {}


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
        augmentation: of waveforms; None: none.
    """

    epochs: Count = 100
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    fusion_learning_rate: Positive | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    loss: Literal["cross_entropy", "mae", "mse", "huber"]
    class_weights: Literal["none", "balanced"] = "none"
    patience: Count = 10
    fit_on: Literal["train", "train + valid"] = "train"
    output_bias: Literal["zeros", "label_mean"] = "zeros"
    monitor: Literal["loss", "pearson"] = "loss"
    augmentation: Augmentation | None = None
