# The public names: type checkers read this file, and `__init__.py` takes the names from it.
from . import backbones as backbones
from . import data as data
from . import decisions as decisions
from . import descriptors as descriptors
from . import evaluation as evaluation
from . import export as export
from . import inspection as inspection
from . import layers as layers
from . import media as media
from . import metrics as metrics
from . import models as models
from . import runtime as runtime
from . import training as training
from . import zoo as zoo
from .data.dataset import Dataset as Dataset
from .errors import LMFError as LMFError
from .evaluation.report import evaluate as evaluate
from .export.exporter import export_model as export_model
from .models.explanation import explain as explain
from .models.factory import build as build
from .recipe.recipe import Recipe as Recipe
from .recognition.recognizer import Recognizer as Recognizer
from .target import Target as Target
from .training.run import Run as Run
from .training.train import train as train
from .zoo.loading import load as load

__version__: str
