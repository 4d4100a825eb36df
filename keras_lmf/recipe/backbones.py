"""The backbones of a recipe: one class for each word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from keras_lmf.recipe.sections import Count, Counts, Network, Noise, Rate, words

if TYPE_CHECKING:
    import keras

Width = Annotated[int, Field(ge=0, le=4096)]
Filters = Annotated[Counts, Field(min_length=1)]


class BackboneWord(Network):
    """A backbone: features or frames → embedding.

    Class attributes:
        keeps_steps: whether it can give a sequence of embeddings: `<name>_steps` of `backbones.steps`.
    """

    keeps_steps: ClassVar[bool] = False

    def build_steps(self, shape: Sequence[int], name: str, **seed: int | None) -> keras.Model:
        """As `build`, without its pooling: a sequence of embeddings."""
        return self.made("steps", f"{self.name}_steps", shape, name, **seed)


class Regularised(BackboneWord):
    """A backbone for features, and what it can do against overfitting; see `backbones.mlp`."""

    home = "sequence"
    input_dropout: Rate = Field(0.0, description="Rate of dropout on the standardised features.")
    input_noise: Noise = Field(0.0, description="Standard deviation of noise on features, in training only.")
    dropout: Rate = Field(0.0, description="Rate of dropout after the layers.")


class MLP(Regularised):
    """Vector → embedding: `backbones.mlp`."""

    title = "multilayer perceptron"
    name: Literal["mlp"]
    units: Counts = Field((64,), description="Widths of the ReLU layers; the last is the embedding's.")


class AveragePooling(Regularised):
    """Sequence → embedding: `backbones.average_pooling`."""

    title = "mean over time"
    keeps_steps = True
    name: Literal["average_pooling"]
    units: Counts = Field((64,), description="Widths of the ReLU layers; the last is the embedding's.")


class LSTM(Regularised):
    """Sequence → embedding, the last state: `backbones.lstm`."""

    title = "LSTM"
    papers = ("Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation 1997",)
    keeps_steps = True
    name: Literal["lstm"]
    units: Count = Field(64, description="Width of the state.")


class BiLSTM(Regularised):
    """Sequence → embedding, mean and deviation of the states: `backbones.bilstm`."""

    title = "bidirectional LSTM"
    papers = ("Graves & Schmidhuber, Framewise Phoneme Classification with Bidirectional LSTM, 2005",)
    keeps_steps = True
    name: Literal["bilstm"]
    units: Count = Field(64, description="Width of each direction's state; the embedding is 4 times as wide.")


class GRU(Regularised):
    """Sequence → embedding, the last state: `backbones.gru`."""

    title = "GRU"
    papers = ("Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014",)
    keeps_steps = True
    name: Literal["gru"]
    units: Count = Field(64, description="Width of the state.")


class Convolution(Regularised):
    """Sequence → embedding: `backbones.temporal_convolution`."""

    title = "convolutions over time"
    keeps_steps = True
    name: Literal["temporal_convolution"]
    filters: Counts = Field((64, 64), description="Widths of the ReLU convolutions.")
    kernel_size: Count = Field(5, description="Steps that each convolution sees.")
    units: Count = Field(64, description="Width of the embedding.")


class Projection(BackboneWord):
    """What is fitted to the training split, and never trains: `backbones.projections`."""

    home = "projections"
    papers = ("Kumar & Martin, Cross-Modal Harmony",)
    keeps_steps = True
    components: Count = Field(16, description="How many numbers are left of a vector or of each step.")


class PrincipalComponents(Projection):
    """Vector or sequence → its first principal components: `backbones.principal_components`."""

    title = "principal components"
    name: Literal["principal_components"]


class TruncatedSVD(Projection):
    """Vector or sequence → its part along the first singular vectors: `backbones.truncated_svd`."""

    title = "truncated singular value decomposition"
    name: Literal["truncated_svd"]


class Spectrogram(Regularised):
    """What takes features over time as a picture, (steps, bands)."""

    home = "spectrogram"
    filters: Counts = Field((16, 32, 64), description="Maps of each block.")
    units: Count = Field(64, description="Width of the dense layer, or of each direction's state.")
    band_width: Width = Field(0, description="Most bands under each of two SpecAugment masks; 0 for none.")
    step_width: Width = Field(0, description="Most steps under each of two SpecAugment masks; 0 for none.")


class SpectrogramCNN(Spectrogram):
    """(steps, bands) → embedding: `backbones.spectrogram_cnn`."""

    title = "convolutions over a spectrogram"
    name: Literal["spectrogram_cnn"]


class SpectrogramCRNN(Spectrogram):
    """(steps, bands) → embedding, 4 · `units` wide: `backbones.spectrogram_crnn`."""

    title = "convolutions over a spectrogram, then GRUs"
    papers = ("Choi et al., Convolutional Recurrent Neural Networks for Music Classification, 2017",)
    name: Literal["spectrogram_crnn"]


class ImageCNN(BackboneWord):
    """(height, width, channels) → embedding: `backbones.image_cnn`."""

    title = "residual convolutions over a picture"
    home = "pictures"
    papers = ("He et al., Deep Residual Learning for Image Recognition, CVPR 2016",)
    media = "frames"
    name: Literal["image_cnn"]
    filters: Filters = Field(
        (16, 32, 64, 128, 192), description="Maps of each block; the last is the embedding's width."
    )
    dropout: Rate = Field(0.0, description="Rate of dropout on the embedding.")
    mirror: bool = Field(False, description="Whether each picture's mirror image is seen too.")


class CNN2Plus1D(BackboneWord):
    """(frames, height, width, channels) → embedding: `backbones.cnn_2plus1d`."""

    title = "(2+1)-D convolutions"
    home = "pictures"
    papers = ("Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, CVPR 2018",)
    media = "frames"
    name: Literal["cnn_2plus1d"]
    filters: Filters = Field((16, 32, 64), description="Maps of each block.")
    units: Count = Field(64, description="Width of the embedding.")
    dropout: Rate = Field(0.0, description="Rate of dropout of whole maps, and on the embedding.")


class I3D(BackboneWord):
    """(frames, height, width, 3) → embedding: `backbones.i3d`."""

    title = "Inception-I3D"
    home = "i3d"
    papers = ("Carreira & Zisserman, Quo Vadis, Action Recognition?, CVPR 2017",)
    media = "frames"
    name: Literal["i3d"]
    units: Count = Field(64, description="Width of the embedding.")
    dropout: Rate = Field(0.0, description="Rate of dropout before the dense layer.")


class PublishedFeature(BackboneWord):
    """Vector → embedding, the published sub-network: `backbones.published_feature_network`."""

    title = "published feature sub-network"
    home = "sequence"
    papers = ("Zadeh et al., Tensor Fusion Network for Multimodal Sentiment Analysis, EMNLP 2017",)
    name: Literal["published_feature"]
    units: Count = Field(32, description="Width of the three layers.")
    dropout: Rate = Field(0.0, description="Rate of dropout on the normalised features.")


class PublishedText(BackboneWord):
    """Sequence → embedding, the published sub-network: `backbones.published_text_network`."""

    title = "published text sub-network"
    home = "sequence"
    papers = PublishedFeature.papers
    name: Literal["published_text"]
    hidden_units: Count = Field(128, description="Width of the LSTM's state.")
    units: Count = Field(64, description="Width of the embedding.")
    dropout: Rate = Field(0.0, description="Rate of dropout on the last state.")


Backbone = Annotated[
    MLP
    | AveragePooling
    | LSTM
    | BiLSTM
    | GRU
    | Convolution
    | PrincipalComponents
    | TruncatedSVD
    | SpectrogramCNN
    | SpectrogramCRNN
    | ImageCNN
    | CNN2Plus1D
    | I3D
    | PublishedFeature
    | PublishedText,
    Field(discriminator="name"),
]
BACKBONES = words(Backbone)
