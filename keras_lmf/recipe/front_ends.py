"""The front ends of a recipe: one class for each word."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from keras_lmf.recipe.applications import known_network
from keras_lmf.recipe.basics import Bands, Count, Network, Side

Pretrained = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class Waveform(Network):
    """A front end for a waveform of so many samples a second."""

    media = "waveform"
    sample_rate: Count = 16000


class LogMel(Waveform):
    """Waveform → log-mel spectrogram: `backbones.front_ends.log_mel`."""

    name: Literal["log_mel"]
    bands: Bands = 64


class MFCC(Waveform):
    """Waveform → mel-frequency cepstral coefficients: `backbones.front_ends.mfcc`."""

    name: Literal["mfcc"]
    bands: Bands = 64
    coefficients: Bands = 20


class GE2E(Waveform):
    """Waveform → states of the GE2E speaker encoder: `backbones.front_ends.ge2e`.

    Attributes:
        layers: that are tapped.
        pretrained: name of the zoo's backbone whose weights a training starts from.
    """

    name: Literal["ge2e"]
    sample_rate: Literal[16000] = 16000
    layers: Annotated[tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(min_length=1, max_length=4)] = (2,)
    pretrained: Pretrained = "ge2e"


class MiniXception(Network):
    """Frames → features of each by mini-Xception: `backbones.frames.mini_xception`.

    Attributes:
        taps: the blocks that are tapped.
        mirror: whether each picture's mirror image is seen too.
        pretrained: name of the zoo's backbone whose weights a training starts from.
    """

    media = "frames"
    name: Literal["mini_xception"]
    taps: Annotated[
        tuple[Literal["block_1", "block_2", "block_3", "block_4", "logits"], ...],
        Field(min_length=1, max_length=5),
    ] = ("block_4",)
    mirror: bool = False
    pretrained: Pretrained = "mini-xception"


class Application(Network):
    """Frames → features of each by a network of `keras.applications`: `backbones.frames.application`.

    Attributes:
        network: its name there.
        size: (height, width) that frames are resized to, up to 1024.
        weights: that a training starts from; Keras downloads those of ImageNet.
    """

    media = "frames"
    name: Literal["application"]
    network: Annotated[str, AfterValidator(known_network)] = "MobileNetV3Small"
    size: tuple[Side, Side] | None = None
    weights: Literal["random", "imagenet"] = "imagenet"


LandmarkFeature = Literal["coordinates", "velocities", "distances"]
LandmarkStatistic = Literal["mean", "log_deviation", "log_change", "quarters"]


class Landmarks(Network):
    """Face landmarks → features of each frame: `backbones.landmarks.landmarks`."""

    name: Literal["landmarks"]
    features: Annotated[tuple[LandmarkFeature, ...], Field(min_length=1, max_length=3)] = (
        "coordinates",
        "velocities",
        "distances",
    )


class LandmarkStatistics(Network):
    """Face landmarks → statistics over the clip: `backbones.landmarks.landmark_statistics`."""

    name: Literal["landmark_statistics"]
    features: Annotated[tuple[LandmarkFeature, ...], Field(min_length=1, max_length=3)] = ("distances",)
    statistics: Annotated[tuple[LandmarkStatistic, ...], Field(min_length=1, max_length=4)] = (
        "mean",
        "log_deviation",
        "log_change",
        "quarters",
    )


FrontEnd = Annotated[
    LogMel | MFCC | GE2E | MiniXception | Application | Landmarks | LandmarkStatistics,
    Field(discriminator="name"),
]
