"""keras-lmf: audio-video emotion recognition by tensor fusion and low-rank fusion, in Keras 3.

`import keras_lmf as klmf` loads no backend: the names in `__init__.pyi` are imported when they are first used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
