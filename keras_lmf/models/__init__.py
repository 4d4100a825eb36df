"""Models from parts, from recipes, and with published weights."""

from types import FunctionType

import keras_lmf.layers  # noqa: F401  registers them, and says what to install without a backend
from keras_lmf.models.compression import compress as compress
from keras_lmf.models.compression import low_rank_from_tensor as low_rank_from_tensor
from keras_lmf.models.compression import prune_ranks as prune_ranks
from keras_lmf.models.compression import rank_norms as rank_norms
from keras_lmf.models.decision import decision_fusion as decision_fusion
from keras_lmf.models.embedding import embedding_model as embedding_model
from keras_lmf.models.factory import build as build
from keras_lmf.models.factory import build_front_ends as build_front_ends
from keras_lmf.models.factory import foretold_shapes as foretold_shapes
from keras_lmf.models.factory import fusion_model as fusion_model
from keras_lmf.models.factory import weight_shapes as weight_shapes
from keras_lmf.models.halves import body_model as body_model
from keras_lmf.models.halves import front_end_model as front_end_model
from keras_lmf.models.low_rank_kernel import low_rank_kernel as low_rank_kernel
from keras_lmf.models.pretrained import load_backbone as load_backbone
from keras_lmf.models.published_networks import load_i3d_checkpoint as load_i3d_checkpoint
from keras_lmf.models.published_networks import load_published as load_published
from keras_lmf.models.standardization import fitted_layers as fitted_layers
from keras_lmf.models.standardization import refresh_standardization as refresh_standardization
from keras_lmf.models.standardization import set_standardization as set_standardization
from keras_lmf.models.streaming import streaming_model as streaming_model
from keras_lmf.models.weights import read_testvectors as read_testvectors
from keras_lmf.models.weights import write_testvectors as write_testvectors

__all__ = sorted(name for name, value in globals().items() if isinstance(value, FunctionType))
