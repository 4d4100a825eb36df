# The public names: type checkers read this file, and `__init__.py` takes the names from it.
from . import calibration as calibration
from .paired import compare_outputs as compare_outputs
from .report import Report as Report
from .report import evaluate as evaluate
from .report import paired_difference as paired_difference
from .report import summarise as summarise
from .robustness import Robustness as Robustness
from .robustness import measure_robustness as measure_robustness
from .terms import interactions as interactions
