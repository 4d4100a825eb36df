"""Who speaks, how each emotion sounds and looks, the curves over time that voice and face share, and the voice."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

# Of the voice.
_BANDWIDTH = 130.0  # Hz, of each formant
_HIGHEST = 4000.0  # Hz, above which there are no harmonics
_BREATH = -28.0  # dB of noise under the voice
_ROOM = -62.0  # dB of noise everywhere

# Of a seed's streams of random numbers: what is drawn for a speaker, and for a clip.
_SPEAKER, _CLIP = 0, 1


@dataclass(frozen=True)
class Emotion:
    """How an emotion sounds and looks.

    The directions are those found in vocal (Juslin & Laukka, Psychological Bulletin 129, 2003, table 11) and facial
    expression (Ekman & Friesen, Facial Action Coding System, 1978); the amounts are drawn as a cartoon's.

    Attributes:
        pitch: semitones above the speaker's own.
        accents: standard deviation of the syllables' pitch, semitones.
        contour: semitones by which the pitch rises from beginning to end.
        rate: syllables a second.
        level: RMS of the voice, dB of full scale.
        tilt: dB per octave that the harmonics lose.
        inner_brow, outer_brow: how far the brow's ends are raised, in half heights of the picture, as all lengths.
        frown: how far the brows come together.
        eyes: opening of the eyes; 1 is neutral's.
        lower_lid: share of the eye that the raised lower lid hides.
        smile: how far the mouth's corners lie above its middle.
        mouth_width: half the mouth's width.
        mouth_opening: half the mouth's height while silent.
        jaw: what the loudest syllables add to it.
        nod: how far the head sinks.
    """

    pitch: float
    accents: float
    contour: float
    rate: float
    level: float
    tilt: float
    inner_brow: float
    outer_brow: float
    frown: float
    eyes: float
    lower_lid: float
    smile: float
    mouth_width: float
    mouth_opening: float
    jaw: float
    nod: float

    def towards(self, other: Emotion, share: float) -> Emotion:
        """This emotion at 0, `other` at 1, both mixed between; beyond 1 `other` is exaggerated."""
        return Emotion(*(own + share * (its - own) for own, its in zip(astuple(self), astuple(other))))


EMOTIONS = {
    "angry": Emotion(3, 2.5, -3, 5.2, -19, 5, -0.13, 0.05, 0.05, 0.8, 0.15, -0.08, 0.24, 0.03, 0.12, 0.02),
    "happy": Emotion(5, 3.5, 3, 4.8, -22, 8, 0.02, 0.04, 0.0, 0.85, 0.35, 0.17, 0.32, 0.05, 0.11, -0.02),
    "neutral": Emotion(0, 1.0, -1, 4.0, -27, 10, 0.0, 0.0, 0.0, 0.95, 0.0, 0.0, 0.23, 0.008, 0.08, 0.0),
    "sad": Emotion(-2, 0.6, -3, 2.5, -33, 14, 0.12, -0.10, 0.02, 0.55, 0.0, -0.12, 0.17, 0.008, 0.05, 0.07),
    "surprised": Emotion(
        8, 3.0, 6, 4.2, -23, 7, 0.14, 0.12, -0.02, 1.45, 0.0, -0.01, 0.13, 0.08, 0.08, -0.04
    ),
}

# Vowel → the first three formants of an adult's vocal tract in Hz, opening and width of the mouth relative to an "a".
_VOWELS = np.array(
    [
        (730, 1090, 2440, 1.0, 1.0),  # a
        (530, 1840, 2480, 0.75, 1.1),  # e
        (270, 2290, 3010, 0.55, 1.2),  # i
        (570, 840, 2410, 0.8, 0.75),  # o
        (300, 870, 2240, 0.55, 0.65),  # u
    ]
)
_SKIN = np.array([(255, 224, 196), (236, 190, 150), (198, 140, 98), (141, 92, 60), (112, 74, 52)], float)
_HAIR = np.array([(40, 28, 22), (92, 58, 34), (200, 160, 90), (150, 72, 36), (120, 120, 124)], float)


@dataclass(frozen=True)
class Speaker:
    """What stays the same in all clips of a speaker.

    Attributes:
        name: as in labels.csv.
        pitch: fundamental frequency of the neutral voice, Hz.
        formants: factor on the vowels' formants; a shorter vocal tract has higher ones.
        head: (half width, half height) of the head.
        eyes: half the distance of the eyes.
        brow: half the thickness of the brows.
        hairline: share of the head, from its top, that the hair covers.
        hair_length: how far the hair reaches below the eyes.
        skin, hair, shirt, upper, lower: colours, (3,) in 0 to 255; `upper` and `lower` are the background's.
    """

    name: str
    pitch: float
    formants: float
    head: tuple[float, float]
    eyes: float
    brow: float
    hairline: float
    hair_length: float
    skin: np.ndarray
    hair: np.ndarray
    shirt: np.ndarray
    upper: np.ndarray
    lower: np.ndarray


def draw_speaker(seed: int, number: int) -> Speaker:
    """The speaker `number`, from 0: even ones have low voices, odd ones high voices."""
    random = np.random.default_rng([seed, _SPEAKER, number])
    high = number % 2
    tone = random.uniform(0, len(_SKIN) - 1)
    skin = np.array([np.interp(tone, range(len(_SKIN)), channel) for channel in _SKIN.T])
    return Speaker(
        name=f"speaker_{number:02d}",
        pitch=float((180 if high else 100) * 2 ** random.uniform(0, 0.4)),
        formants=float(random.uniform(1.08, 1.22) if high else random.uniform(0.92, 1.06)),
        head=(float(random.uniform(0.53, 0.61)), float(random.uniform(0.69, 0.76))),
        eyes=float(random.uniform(0.20, 0.24)),
        brow=float(random.uniform(0.028, 0.042)),
        hairline=float(random.uniform(0.08, 0.18)),
        hair_length=float(random.uniform(-0.1, 0.9)),
        skin=skin,
        hair=_HAIR[random.integers(len(_HAIR))] * random.uniform(0.7, 1.1),
        shirt=random.uniform(30, 220, 3),
        upper=random.uniform(90, 230, 3),
        lower=random.uniform(50, 190, 3),
    )


@dataclass(frozen=True)
class Performance:
    """One clip's syllables and expression; its methods give curves at any times, (n,) seconds.

    Attributes:
        speaker: who speaks.
        voice: the emotion as it is heard, at this clip's strength.
        face: the emotion as it is seen, at a strength of its own.
        seconds: length.
        centres, widths, peaks, accents: of each syllable: seconds, seconds, 0.7 to 1, semitones.
        vowels: (syllables, 5), rows of formants in Hz, opening and width of the mouth.
        blinks: seconds at which the eyes are closed.
        sway: (4, 3) amplitude, Hz and phase of the slow drifts of head x, head y, tilt and gaze.
        light: brightness of left and right edge and of the whole.
        noise: seed of the noise in sound and picture.
    """

    speaker: Speaker
    voice: Emotion
    face: Emotion
    seconds: float
    centres: np.ndarray
    widths: np.ndarray
    peaks: np.ndarray
    accents: np.ndarray
    vowels: np.ndarray
    blinks: np.ndarray
    sway: np.ndarray
    light: tuple[float, float, float]
    noise: tuple[int, ...]

    def loudness(self, times: np.ndarray) -> np.ndarray:
        """Of the voice, and so how far the mouth is opened: (n,) from 0, silent, to 1."""
        apart = np.abs(times[:, None] - self.centres) / self.widths
        return np.max(self.peaks * np.cos(np.pi * np.minimum(apart, 0.5)) ** 2, axis=1)

    def pitch(self, times: np.ndarray) -> np.ndarray:
        """Fundamental frequency: (n,) Hz."""
        semitones = self.voice.pitch + self.voice.contour * (times / self.seconds - 0.5)
        semitones += np.interp(times, self.centres, self.accents)
        return self.speaker.pitch * 2 ** (semitones / 12)

    def articulation(self, times: np.ndarray) -> np.ndarray:
        """Formants in Hz, opening and width of the mouth, gliding from vowel to vowel: (5, n)."""
        return np.stack([np.interp(times, self.centres, values) for values in self.vowels.T])

    def blink(self, times: np.ndarray) -> np.ndarray:
        """How far the eyes are closed: (n,) from 0 to 1."""
        apart = np.abs(times[:, None] - self.blinks) / 0.12
        return np.max(np.clip(1 - apart, 0, 1), axis=1, initial=0)

    def drift(self, times: np.ndarray) -> np.ndarray:
        """Head x, head y (lengths), tilt (radians) and gaze (length): (4, n)."""
        amplitude, frequency, phase = self.sway.T[:, :, None]
        return amplitude * np.sin(2 * np.pi * frequency * times + phase)


def draw_performance(seed: int, index: int, speaker: Speaker, emotion: str, seconds: float) -> Performance:
    """Clip number `index`; voice and face show `emotion` at independent strengths of 0.6 to 1.1."""
    random = np.random.default_rng([seed, _CLIP, index])
    neutral, full = EMOTIONS["neutral"], EMOTIONS[emotion]
    voice = neutral.towards(full, random.uniform(0.6, 1.1))
    face = neutral.towards(full, random.uniform(0.6, 1.1))
    begin, end = random.uniform(0.05, 0.12, 2) * seconds
    spacing = 1 / (voice.rate * random.uniform(0.9, 1.1))
    count = max(1, round((seconds - begin - end) / spacing))
    spacing = (seconds - begin - end) / count
    centres = begin + spacing * (np.arange(count) + 0.5 + random.uniform(-0.15, 0.15, count))
    vowels = _VOWELS[random.integers(len(_VOWELS), size=count)]
    blinks = np.arange(random.uniform(0, 2.5), seconds, 2.5) + random.uniform(-0.4, 0.4)
    most = np.array([0.035, 0.02, 0.05, 0.02])
    sway = np.stack(
        [random.uniform(0.3, 1, 4) * most, random.uniform(0.2, 0.6, 4), random.uniform(0, 2 * np.pi, 4)],
        axis=1,
    )
    return Performance(
        speaker=speaker,
        voice=voice,
        face=face,
        seconds=seconds,
        centres=centres,
        widths=spacing * random.uniform(1.1, 1.3, count),
        peaks=random.uniform(0.7, 1, count),
        accents=voice.accents * random.standard_normal(count).clip(-2, 2),
        vowels=vowels * np.array([speaker.formants] * 3 + [1, 1]),
        blinks=blinks,
        sway=sway,
        light=tuple(random.uniform([0.85, 0.85, 0.9], [1.1, 1.1, 1.1]).tolist()),
        noise=(seed, _CLIP, index, 1),
    )


def waveform(performance: Performance, samples: int, sample_rate: int) -> np.ndarray:
    """The clip's sound, harmonics of a gliding pitch under the formants of vowels: (samples,) float32 in [-1, 1].

    Each harmonic's gain is the voice's spectral tilt times the sum of the formants' resonances at its frequency.
    Breath follows the loudness; a quiet room's noise is everywhere. The voice's RMS is that of the emotion.
    """
    times = np.arange(samples) / sample_rate
    pitch = performance.pitch(times)
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    formants = performance.articulation(times)[:3]
    highest = min(_HIGHEST, 0.45 * sample_rate)
    sound, power = np.zeros((2, samples))
    for harmonic in range(1, int(highest / pitch.min()) + 1):
        frequency = harmonic * pitch
        gain = np.sum(1 / (1 + ((frequency - formants) / _BANDWIDTH) ** 2), axis=0) + 0.05
        gain *= harmonic ** (-performance.voice.tilt / (20 * np.log10(2)))
        # A harmonic fades out below the limit: it must not click when the pitch glides across.
        gain *= np.clip((highest - frequency) / 200, 0, 1)
        sound += gain * np.sin(harmonic * phase)
        power += gain**2 / 2
    random = np.random.default_rng(performance.noise)
    noise = random.standard_normal((2, samples))
    # However the harmonics meet the formants, the loudness is the performance's.
    sound = sound / np.sqrt(power) + 10 ** (_BREATH / 20) * noise[0]
    sound *= performance.loudness(times)
    sound *= 10 ** (performance.voice.level / 20) / np.sqrt(np.mean(sound**2))
    sound += 10 ** (_ROOM / 20) * noise[1]
    return np.clip(sound, -1, 1).astype(np.float32)
