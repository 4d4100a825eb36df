"""Numbers from predictions: named protocols with floors and intervals, summaries over seeds, plots.

Everything here takes arrays and knows no framework: Keras models, SavedModels and TFLite files are judged by
the same code. The names in `__init__.pyi` are imported when they are first used, as pages of words need no arrays.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
