"""The front ends of a recipe: one class for each word."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from keras_lmf.recipe.sections import Network, words
from keras_lmf.spec import MEDIA, EntryName, known

if TYPE_CHECKING:
    import keras

SampleRate = Annotated[int, Field(ge=1, le=MEDIA["waveform"].rates[1])]
Bands = Annotated[int, Field(ge=1, le=256)]
Side = Annotated[int, Field(ge=1, le=1024)]  # of a picture that is made larger, so that it takes no gigabytes
NETWORKS = (
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "DenseNet121", "DenseNet169",
    "DenseNet201", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2",
    "EfficientNetV2B3", "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S", "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "NASNetLarge", "NASNetMobile", "ResNet101",
    "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2", "VGG16", "VGG19", "Xception",
)  # fmt: skip

Tap = Literal["block_1", "block_2", "block_3", "block_4", "logits"]
Taps = Annotated[tuple[Tap, ...], Field(min_length=1, max_length=5)]
LandmarkFeature = Literal["coordinates", "velocities", "distances"]
FeatureWords = Annotated[tuple[LandmarkFeature, ...], Field(min_length=1, max_length=3)]
LandmarkStatistic = Literal["mean", "log_deviation", "log_change", "quarters"]
StatisticWords = Annotated[tuple[LandmarkStatistic, ...], Field(min_length=1, max_length=4)]


class FrontEndWord(Network):
    """A front end: raw input → features, inside the model.

    Class attributes:
        published: (setting, value) that tap all its published weights hold; None: none are published for it.
        blocks: of its published weights, from the input up: what the names of a block's layers begin with.
    """

    home = "front_ends"
    published: ClassVar[tuple[str, tuple] | None] = None
    blocks: ClassVar[tuple[str, ...]] = ()
    fine_tuned: Annotated[int, Field(ge=0, le=8)] = Field(
        0,
        description="How many of its blocks are trained along, from the top down; 0: it stays as published.",
    )

    @model_validator(mode="after")
    def _has_blocks(self) -> FrontEndWord:
        if self.fine_tuned > len(self.blocks):
            raise ValueError(
                f"front end {self.name!r} has {len(self.blocks)} blocks to train, fine_tuned is {self.fine_tuned}"
            )
        return self

    def build(self, shape: Sequence[int], name: str, **seed: int | None) -> keras.Model:
        """As every network's; with blocks that are trained along, the paths of its weights begin with `name`."""
        if not self.fine_tuned:
            return super().build(shape, name, **seed)
        # Imported here, with Keras: a recipe is read without.
        parts = importlib.import_module("keras_lmf.backbones.parts")
        with parts.keras.name_scope(name):
            model = super().build(shape, name, **seed)
        return parts.with_trained_blocks(model, self.blocks, self.fine_tuned)


class Waveform(FrontEndWord):
    """A front end for a waveform of so many samples a second."""

    media = "waveform"
    sample_rate: SampleRate = Field(16000, description="Samples a second, in Hz.")


class Decibels(Waveform):
    """A front end that gives decibels."""

    dynamic_range: Annotated[float, Field(ge=0, le=200)] = Field(
        80.0,
        description="How far below the clip's loudest band silence begins, in dB. 0: no limit; the model can then "
        "take a clip chunk by chunk.",
    )


class LogMel(Decibels):
    """Waveform → log-mel spectrogram: `backbones.front_ends.log_mel`."""

    title = "log-mel spectrogram"
    name: Literal["log_mel"]
    bands: Bands = Field(64, description="Mel bands.")


class CepstralCoefficients(Decibels):
    """Waveform → mel-frequency cepstral coefficients: `backbones.front_ends.mfcc`."""

    title = "mel-frequency cepstral coefficients"
    name: Literal["mfcc"]
    bands: Bands = Field(64, description="Mel bands.")
    coefficients: Bands = Field(20, description="Coefficients, from the 0th on; at most `bands`.")


class GE2E(Waveform):
    """Waveform → states of the GE2E speaker encoder: `backbones.front_ends.ge2e`."""

    title = "GE2E speaker encoder"
    papers = ("Wan et al., Generalized End-to-End Loss for Speaker Verification, ICASSP 2018",)
    published = ("layers", (1, 2, 3, 4))
    blocks = ("lstm_1", "lstm_2", "lstm_3", "linear")
    name: Literal["ge2e"]
    sample_rate: Literal[16000] = Field(16000, description="Samples a second, in Hz: what it was trained on.")
    layers: Annotated[tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(min_length=1, max_length=4)] = (
        Field((2,), description="The tapped layers: 1, 2, 3 (LSTMs), 4 (the speaker embedding).")
    )
    pretrained: EntryName = Field("ge2e", description="The zoo's backbone that a training starts from.")


class WhisperEncoder(Waveform):
    """What both words of Whisper's encoder take."""

    papers = ("Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, ICML 2023",)
    blocks = ("convolution", "block_1", "block_2", "block_3", "block_4")
    sample_rate: Literal[16000] = Field(16000, description="Samples a second, in Hz: what it was trained on.")
    layers: Annotated[tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(min_length=1, max_length=4)] = (
        Field((1, 2, 3), description="The tapped blocks, of 1 to 4.")
    )
    active_decibels: Annotated[float, Field(gt=0, le=100)] = Field(
        35.0, description="Steps further below the loudest than this, in dB, are left out of the features."
    )
    pretrained: EntryName = Field("whisper-tiny-en", description="The zoo's backbone a training starts from.")


class Whisper(WhisperEncoder):
    """Waveform → features of each 20 ms by Whisper's encoder: `backbones.front_ends.whisper`."""

    title = "Whisper's encoder"
    published = ("layers", (1, 2, 3, 4))
    name: Literal["whisper"]


class WhisperStatistics(WhisperEncoder):
    """Waveform → statistics over the clip of what Whisper's encoder says: `backbones.front_ends.whisper_statistics`."""

    title = "statistics of Whisper's encoder"
    name: Literal["whisper_statistics"]
    statistics: Annotated[tuple[Literal["mean", "deviation"], ...], Field(min_length=1, max_length=2)] = (
        Field(("mean",), description="Told of the clip, for each block in order.")
    )


class WhisperConvolutions(Waveform):
    """Waveform → statistics over the clip of Whisper's convolutions, cut to low rank:
    `backbones.front_ends.whisper_convolutions`."""

    title = "Whisper's convolutions, cut to low rank"
    papers = WhisperEncoder.papers
    published = ("statistics", ("mean", "deviation"))
    blocks = ("convolution_1", "convolution_2")
    name: Literal["whisper_convolutions"]
    sample_rate: Literal[16000] = Field(16000, description="Samples a second, in Hz: what it was trained on.")
    statistics: Annotated[tuple[Literal["mean", "deviation"], ...], Field(min_length=1, max_length=2)] = (
        Field(("mean", "deviation"), description="Told of the clip, in order.")
    )
    active_decibels: Annotated[float, Field(gt=0, le=100)] = Field(
        35.0, description="Steps further below the loudest than this, in dB, are left out of the features."
    )
    pretrained: EntryName = Field(
        "whisper-convolutions", description="The zoo's backbone a training starts from."
    )


class MiniXception(FrontEndWord):
    """Frames → features of each by mini-Xception: `backbones.front_ends.mini_xception`."""

    title = "mini-Xception"
    papers = (
        "Arriaga et al., Real-time Convolutional Neural Networks for Emotion and Gender Classification, 2017",
    )
    published = ("taps", get_args(Tap))
    blocks = ("stem", *get_args(Tap))
    media = "frames"
    name: Literal["mini_xception"]
    taps: Taps = Field(("block_4",), description="The tapped blocks.")
    mirror: bool = Field(False, description="Whether each picture's mirror image is seen too.")
    pretrained: EntryName = Field("mini-xception", description="The zoo's backbone a training starts from.")


class ExpressionNet(FrontEndWord):
    """Frames → features of each by face-api's expression network: `backbones.front_ends.expression_net`."""

    title = "face-api's expression network"
    published = ("taps", get_args(Tap))
    blocks = get_args(Tap)
    media = "frames"
    name: Literal["expression_net"]
    taps: Taps = Field(("block_4",), description="The tapped blocks.")
    mirror: bool = Field(False, description="Whether each picture's mirror image is seen too.")
    pretrained: EntryName = Field(
        "face-api-expression", description="The zoo's backbone a training starts from."
    )


class Application(FrontEndWord):
    """Frames → features of each by a network of `keras.applications`: `backbones.front_ends.application`."""

    title = "network of keras.applications"
    media = "frames"
    name: Literal["application"]
    network: Annotated[str, known("network of keras.applications", NETWORKS)] = Field(
        "MobileNetV3Small", description="Its name in `keras.applications`."
    )
    size: tuple[Side, Side] | None = Field(None, description="(height, width) of resized frames, up to 1024.")
    weights: Literal["random", "imagenet"] = Field(
        "imagenet", description="What a training starts from; Keras downloads those of ImageNet."
    )


class Landmarks(FrontEndWord):
    """Face landmarks → features of each frame: `backbones.front_ends.landmarks`."""

    title = "face landmarks"
    name: Literal["landmarks"]
    features: FeatureWords = Field(
        get_args(LandmarkFeature), description="What is told of each frame, in this order."
    )


class LandmarkStatistics(FrontEndWord):
    """Face landmarks → statistics over the clip: `backbones.front_ends.landmark_statistics`."""

    title = "statistics of face landmarks"
    name: Literal["landmark_statistics"]
    features: FeatureWords = Field(("distances",), description="What is told of each frame.")
    statistics: StatisticWords = Field(get_args(LandmarkStatistic), description="Told of the clip, in order.")


FrontEnd = Annotated[
    LogMel
    | CepstralCoefficients
    | GE2E
    | Whisper
    | WhisperConvolutions
    | WhisperStatistics
    | MiniXception
    | ExpressionNet
    | Application
    | Landmarks
    | LandmarkStatistics,
    Field(discriminator="name"),
]
FRONT_ENDS = words(FrontEnd)
