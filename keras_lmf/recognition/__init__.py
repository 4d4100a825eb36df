"""A media file in, an emotion out: `Recognizer` runs a model of the zoo, a run or an exported file over a clip."""

from keras_lmf.recognition.embedding import Embedding
from keras_lmf.recognition.enrolment import Enrolment
from keras_lmf.recognition.prediction import Prediction
from keras_lmf.recognition.recognizer import Recognizer

__all__ = ["Embedding", "Enrolment", "Prediction", "Recognizer"]
