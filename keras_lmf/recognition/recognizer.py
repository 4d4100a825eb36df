"""Recognizer: a clip in, its emotion out, by any model that takes sound, a face or both."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.media.faces import Detector
from keras_lmf.media.thumbnails import Strip
from keras_lmf.recognition import enrolment as enrolments
from keras_lmf.recognition.embedding import Embedding, Vectors
from keras_lmf.recognition.inputs import inputs_of, windows_at_once
from keras_lmf.recognition.judgement import answer, embed, judge, probabilities
from keras_lmf.recognition.moments import Moment, windows_of_camera
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.opening import open_model
from keras_lmf.recognition.people import predictions
from keras_lmf.recognition.prediction import Prediction
from keras_lmf.recognition.settings import Settings
from keras_lmf.recognition.summary import Summary
from keras_lmf.recognition.windows import (
    Window,
    checked_waveform,
    is_whole,
    waveform_blocks,
    windows_of_blocks,
    windows_of_file,
    windows_of_sound,
)

MAX_SECONDS = 3 * 3600.0

Clip = str | Path | np.ndarray | Mapping[str, np.ndarray]


class Recognizer:
    """A model that names the emotion of a clip.

    >>> recognizer = Recognizer("model.tflite")     # doctest: +SKIP
    >>> print(recognizer("clip.mp4"))               # doctest: +SKIP
    clip.mp4: happy 0.83 (neutral 0.12, sad 0.05)

    Silence at the ends of a sound is cut, unless a face is judged too: what is more than 30 dB below the sound's own
    level (`media.sound.voiced`). The rest is cut into windows of the length that the model takes, one every `hop`, in
    the clip's seconds; what is left at its end is padded with zeros. A clip's probabilities are the mean over its
    windows, weighted by the seconds that each one holds. Of the file no more than a window is held, but for the answers
    and some numbers a second.

    One face is followed in 10 frames a second or more: the largest, as long as it is found, checked each
    0.3 s (`media.faces.FaceTracker`). Where none is found the face is absent; it is never another part of the picture.

    Args:
        artifact: the name or folder of a zoo entry, the folder of a run, the folder of a SavedModel, or a `.tflite`
            file; a SavedModel, and an older `.tflite`, with the sidecar beside it. A `.tflite` needs neither
            TensorFlow nor Keras.
        runtime: of an entry: "tflite" or "keras"; None: its `.tflite` where it ships one and LiteRT is installed, the
            float32 one or the nearest to Keras; Keras otherwise, and with `enrolment`. Other artifacts run in one way.
        emotions: those of the model's classes that are asked about, two or more; None: all. Probabilities are the
            softmax over their logits alone, with the model's temperature, so they add up to 1; contributions are
            likewise less the mean over these.
        hop: seconds from one window's start to the next; None: half a window. At most a window, and 60 for a model of
            single pictures.
        smoothing: seconds, .1 to 3600, over which the timeline is smoothed, forwards and back (`decisions.smoothed`, on
            the logarithms of the probabilities): a window that far away weighs 1/e of the one at hand. What is said of
            the clip as a whole stays as it is. None: no smoothing.
        enrolment: clips (files or waveforms) of the one speaker who will be asked about, one or more, best ten or more
            of several emotions, without labels; or an `Enrolment` of them, or the path of the .npz that it saved.
            Instead of the training speakers' mean, the model then subtracts from the voice's features a mean that lies
            n / (n + 3) of the way to that of the speaker's n clips. Each clip counts once: cut a long recording into
            several. Clips of one emotion take that emotion away. Figures of this stand apart ("enrolled"). Zoo entries
            and runs with a front end only; needs Keras.
        face_detector: "yunet", "haar", "none" (the picture is the face), or a function as of
            `media.faces.FaceTracker`; None: the one that the model was trained with, "yunet" where that is unknown.
        max_seconds: the longest file, in seconds: a small one with false timestamps holds windows without end. A longer
            one is refused before anything of it is judged.
        cache_dir: see `zoo.fetch`.

    Attributes:
        file: that answers: a `.tflite`, the weights of a Keras model, or the folder of a SavedModel.
        labels: the emotions that are asked about, in the model's order.
        face_detector: what finds faces.
        modalities: the model's inputs, sound and face first.
        rate: samples a second of the sound that the model takes; None where it takes none.
        seconds: length of a window.
        hop: seconds from one window to the next.
        smoothing: seconds over which the timeline is smoothed; None: it is not.
        enrolment: the speaker who is asked about, whose `save` keeps it; None: nobody was enrolled.
        single_picture: whether a window is one picture, without sound.
        temperature: by which the logits are divided where every modality is there; 1 where it was not calibrated.
        presence: "derived" when the model can do without a modality, "assumed" when it needs them all.

    Raises:
        LMFError: no such model, one that takes features only (with the entries that fit), one that names no classes,
            a runtime that it has no file for, an unknown emotion or fewer than two, a hop out of its range, one clip
            instead of a list to enrol, a clip to enrol without sound, or a stored enrolment of another model.

    Warns:
        UserWarning: five or more clips to enrol, to more than four fifths of which the model gives the same answer.
    """

    def __init__(
        self,
        artifact: str | Path,
        *,
        runtime: str | None = None,
        emotions: Collection[str] | None = None,
        hop: float | None = None,
        smoothing: float | None = None,
        enrolment: Sequence[str | Path | np.ndarray] | enrolments.Enrolment | str | Path = (),
        face_detector: str | Detector | None = None,
        max_seconds: float = MAX_SECONDS,
        cache_dir: str | Path | None = None,
    ) -> None:
        if enrolments.is_stored(enrolment):
            enrolment = enrolments.Enrolment.read(enrolment)
        if isinstance(enrolment, str | Path | np.ndarray):
            raise LMFError(
                "'enrolment' takes a list of clips or a stored enrolment (.npz), received one clip: enrolment=[…]."
            )
        if enrolment and runtime is None:
            runtime = "keras"
        model = open_model(artifact, cache_dir, runtime)
        self.file = model.file
        self._model = model = model if emotions is None else model.among(emotions)
        self.labels = model.labels
        self.modalities = model.modalities
        self.rate = model.sound and model.sound.rate
        self.seconds = model.seconds
        self.temperature = model.temperature
        self.presence = model.spec.presence
        self.single_picture = model.single_picture
        self._settings = settings = Settings.of(model, hop, smoothing, face_detector, max_seconds)
        self.hop = settings.hop
        self.smoothing = settings.smoothing
        self.face_detector = settings.face_detector
        self.enrolment = None
        if enrolment:
            stored = isinstance(enrolment, enrolments.Enrolment)
            self.enrolment = enrolment if stored else self._measured(enrolment)
            enrolments.enrol(model, self.enrolment)

    def _measured(self, clips: Sequence[str | Path | np.ndarray]) -> enrolments.Enrolment:
        enrolments.require_enrollable(self._model)
        heard = dataclasses.replace(self._model, face=None)  # no face is looked for
        names = [
            str(clip) if isinstance(clip, str | Path) else f"clip {i}" for i, clip in enumerate(clips, 1)
        ]
        windows = [self._windows(heard, clip, Strip()) for clip in clips]
        return enrolments.measure(self._model, list(zip(names, windows)))

    def _windows(self, model: Opened, clip: str | Path | np.ndarray, strip: Strip) -> Iterator[Window]:
        """Of a file, whose thumbnails `strip` gets, or a waveform; without the silence at its ends."""
        sound = model.sound
        if isinstance(clip, str | Path):
            return windows_of_file(Path(clip), model, self._settings, strip, trim=True)
        waveform = checked_waveform(f"input {sound.name!r}", clip, sound.rate)
        return windows_of_sound(lambda: waveform_blocks(waveform, sound.rate), sound, self.hop)

    def __repr__(self) -> str:
        sound, face = self._model.sound, self._model.face
        rates = ", ".join(
            ([f"{sound.rate} Hz"] if sound else [])
            + ([f"{float(face.rate):g} frames a second"] if face else [])
        )
        return (
            f"Recognizer({self._model.name!r}: {', '.join(self.modalities)} → {', '.join(self.labels)}; windows of "
            f"{self.seconds:g} s every {self.hop:g} s, {rates}, temperature {self.temperature:g})"
        )

    def __call__(self, clip: Clip) -> Prediction:
        """The emotion of one clip.

        Args:
            clip: a media file (any container that FFmpeg reads, a picture too); a waveform (samples,), float, mono at
                `rate` in [-1, 1]; or a dict of arrays by modality, each of one clip: the waveform, and features or
                pictures of the face in the shape that the model takes. An array for a model without sound is the face.

        A modality is absent where the file has no sound, in a window whose sound is silence (`media.sound.is_silent`)
        or isn't speech (`media.speech`, where the extra `speech` is installed), where no face is found, and where the
        dict lacks it. A model whose presence is "derived" answers from the others, and `Prediction.presence` says so.

        Raises:
            LMFError: a file that can't be read, an array that doesn't fit, nothing to judge by, or a modality absent
                that the model needs.
        """
        file = Path(clip) if isinstance(clip, str | Path) else None
        name, strip = _name(clip), Strip()
        summary = Summary(self._model, name, file, strip, self.smoothing)
        for batch, inputs in self._batches(clip, strip):
            summary.add(batch, judge(self._model, name, inputs))
        return summary.prediction()

    def faces(self, clip: str | Path) -> list[Prediction]:
        """The emotion of each face in a media file, numbered by first appearance, then from left to right.

        A face is judged by the windows in which it is seen, and without the voice: that is the clip's, and nothing
        here says whose it is. Up to 8 faces are followed (`media.faces.MultiFaceTracker`): by their places, not by
        their looks, so after a cut a number may go on with another person.

        Args:
            clip: a film or a picture. It is decoded once.

        Raises:
            LMFError: a file that can't be read or shows no face, or a model that takes none or can't do without the
                voice.
        """
        face = self._model.face
        if face is None:
            raise LMFError(f"{self._model.name} takes no face, so it can't judge several.")
        self._require_alone(face.name, "nothing here attributes to one of several faces")
        return predictions(self._model, Path(clip), self._settings)

    @property
    def embedding_width(self) -> int:
        """Numbers in an embedding.

        Raises:
            LMFError: no Keras model (of an entry, give runtime="keras"), or one that joins the answers of several
                networks.
        """
        return self._model.embedding_width

    def embed(self, clip: Clip) -> Embedding:
        """One clip as vectors, a whole and one per window: the input of the layer that gives the logits.

        Whatever of `emotions` is asked about; a dot product with that layer's weights gives the logits of all classes.

        Args:
            clip: as of a call.

        Returns:
            Embedding of (embedding_width,) and (windows, embedding_width).

        Raises:
            LMFError: as of a call and of `embedding_width`.
        """
        found = Vectors(self._model, _name(clip))
        for batch, inputs in self._batches(clip, Strip()):
            found.add(batch, *embed(self._model, _name(clip), inputs))
        return found.embedding()

    def _batches(self, clip: Clip, strip: Strip) -> Iterator[tuple[list[Window], dict[str, np.ndarray]]]:
        """Some windows at a time, and what the model takes of them; `strip` gets a file's thumbnails."""
        name = _name(clip)
        if isinstance(clip, str | Path):
            features, windows = {}, self._windows(self._model, clip, strip)
            self._require(name, self._model.media)
        else:
            features, windows = self._arrays(clip)
            self._require(name, features)
        at_once = windows_at_once(self._model)
        with contextlib.closing(windows):
            shown = iter(tqdm(windows, desc=name, unit="window", delay=2, leave=False, disable=None))
            while batch := list(itertools.islice(shown, at_once)):
                yield batch, inputs_of(self._model, batch, features)

    def stream(self, source: str | Path | Iterable[np.ndarray]) -> Iterator[Moment]:
        """The emotion heard and seen, one answer every `hop`, of the last window, as soon as it is whole.

        Each answer depends on what came before it alone.

        Args:
            source: blocks of sound, each (samples,), float, mono at `rate` in [-1, 1], of any lengths, as a microphone
                gives them; then the face is absent. Or a media file, which stands in for a microphone and a camera.

        Yields:
            A Moment for each whole window. Without an end where the blocks have none. Where an answer takes longer than
            `hop`, blocks wait.

        Raises:
            LMFError: blocks that don't fit, a file that can't be read, a source that is shorter than a window, or a
                model that needs what the source doesn't give.
        """
        sound = self._model.sound
        if isinstance(source, str | Path):
            self._require(str(source), self._model.media)
            # What comes later isn't known: nothing is cut.
            windows = windows_of_file(Path(source), self._model, self._settings, Strip(), trim=False)
            return self._moments(str(source), windows)
        if sound is None:
            raise LMFError(f"{self._model.name} takes no sound, so it can't listen to blocks of it.")
        self._require_alone(sound.name, "blocks of sound don't give")
        blocks = (checked_waveform("a block of the stream", block, sound.rate) for block in source)
        return self._moments("the stream", windows_of_blocks(blocks, sound, self.hop))

    def watch(self, camera: int | str | Path) -> Iterator[Moment]:
        """The emotion seen by a camera, one answer every `hop`, of the last window; without end.

        As `stream`, but a camera here has no sound: the voice is absent. Windows whose time has passed are left out.

        Args:
            camera: the device's number, 0 for the first; or a video file, which stands in for one and ends.

        Raises:
            LMFError: no such camera, one that stops, a file that can't be read or is shorter than a window, or a model
                that takes no face or can't do without another modality.
        """
        face = self._model.face
        if face is None:
            raise LMFError(f"{self._model.name} takes no face, so it can't watch a camera.")
        self._require_alone(face.name, "a camera doesn't give here")
        windows = windows_of_camera(camera, face, self.hop, self.face_detector)
        return self._moments(f"camera {camera}", windows)

    def _require_alone(self, modality: str, lack: str) -> None:
        others = [key for key in self.modalities if key != modality]
        if others and self.presence == "assumed":
            raise LMFError(f"{self._model.name} needs {', '.join(others)} too, which {lack}.")

    def _moments(self, name: str, windows: Iterator[Window]) -> Iterator[Moment]:
        """Of the windows that are whole."""
        told = False
        with contextlib.closing(windows):
            for window in windows:
                if is_whole(window, self._model):
                    there, logits = answer(self._model, name, inputs_of(self._model, [window], {}))
                    yield Moment.of(window, self.labels, probabilities(self._model, there, logits)[0])
                    told = True
        if not told:
            raise LMFError(f"{name}: it ended before the first window of {self.seconds:g} s.")

    def _arrays(
        self, clip: np.ndarray | Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], Iterator[Window]]:
        """What isn't sound, and the windows of the sound: where there is none, one of nothing."""
        sound = self._model.sound
        arrays = dict(clip) if isinstance(clip, Mapping) else {self._model.media[0]: clip}
        for name in arrays:
            if name not in self.modalities:
                raise unknown_name(f"input of {self._model.name}:", name, self.modalities)
        if sound and sound.name in arrays:
            if len(arrays) == 1:
                return arrays, self._windows(self._model, arrays[sound.name], Strip())
            # What stands beside the sound goes with all of it.
            waveform = checked_waveform(f"input {sound.name!r}", arrays[sound.name], sound.rate)
            return arrays, windows_of_blocks(waveform_blocks(waveform, sound.rate), sound, self.hop)
        nothing = Window(0.0, self.seconds, np.zeros(0, np.float32))
        return arrays, (window for window in [nothing])

    def _require(self, name: str, given: Collection[str]) -> None:
        missing = [key for key in self.modalities if key not in given]
        if missing and self.presence == "assumed":
            features = "" if set(missing) & set(self._model.media) else ", features that no media file gives"
            raise LMFError(
                f"{name}: {self._model.name} needs {', '.join(missing)} too{features}. Give a dict of arrays: "
                f"{', '.join(self.modalities)}."
            )


def _name(clip: Clip) -> str:
    return str(clip) if isinstance(clip, str | Path) else "the clip"
