"""From a WAV file to an emotion with the LiteRT interpreter and NumPy alone; docs/device.md tells the steps.

pip install ai-edge-litert numpy
python examples/on_device.py clip.wav [model.tflite, which can do with a voice alone]
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import Model


def levels(sound: np.ndarray, step: int) -> np.ndarray:
    """Decibels above 200 Hz of pieces of 40 ms, one every 20 ms (`step` samples)."""
    window = np.blackman(2 * step)
    pieces = np.lib.stride_tricks.sliding_window_view(sound, 2 * step)[::step] * window
    power = 2 * np.abs(np.fft.rfft(pieces)[:, 8:]) ** 2 / (2 * step * (window**2).sum())  # bins of 25 Hz
    return 10 * np.log10(power.sum(axis=1) - power[:, -1] / 2 + 1e-20)


ours = Path(__file__).parents[1] / "zoo/whisper-voice/model-dynamic.tflite"
clip, model = [*sys.argv[1:], str(ours)][:2] if len(sys.argv) > 1 else sys.exit(__doc__)
try:
    run = Interpreter(model).get_signature_runner("serving_default")
except ValueError as error:
    sys.exit(f"{model} is no .tflite file that can be run: {error}")
# What the file says of itself; of an older one, the JSON beside it.
content = Model.GetRootAs(Path(model).read_bytes())
metadata = [content.Metadata(i) for i in range(content.MetadataLength())]
inside = [content.Buffers(one.Buffer()) for one in metadata if one.Name() == b"keras_lmf.document"]
facts = json.loads(inside[0].DataAsNumpy().tobytes() if inside else Path(f"{model}.json").read_bytes())
inputs = {name: np.zeros(told["shape"], told["dtype"]) for name, told in run.get_input_details().items()}
voice = next((name for name, told in facts["inputs"].items() if told.get("media") == "waveform"), None)
if voice is None or inputs[voice].dtype != "f4" or (len(inputs) > 1 and facts["presence"] != "derived"):
    sys.exit(f"{model} takes {', '.join(inputs)}; it must do with a voice alone, in float32.")
temperature = (facts.get("subset_temperatures") or {}).get(voice) or facts.get("temperature") or 1
rate, length = int(facts["inputs"][voice]["rate"]), inputs[voice].size

try:
    with wave.open(clip) as file:
        own, channels, bits = file.getframerate(), file.getnchannels(), 8 * file.getsampwidth()
        stored = file.readframes(file.getnframes())
except (EOFError, OSError, wave.Error) as error:
    sys.exit(f"{clip} can't be read as a WAV file: {str(error) or 'it is empty, or ends too soon'}.")
if bits != 16:
    sys.exit(f"{clip} has {bits} bits a sample, and 16 are needed: ffmpeg -i {clip} -c:a pcm_s16le other.wav")
whole = len(stored) // (2 * channels) * channels  # a file that was cut may end in a frame
sound = np.frombuffer(stored, "<i2", whole).reshape(-1, channels).mean(axis=1) / 32768
if len(sound) < 0.3 * own:
    sys.exit(f"{clip}: {len(sound) / own:.2f} s are too short to hear a voice in.")
if own != rate:
    sound = np.clip(np.fft.irfft(np.fft.rfft(sound), len(sound) * rate // own) * rate / own, -1, 1)
step, heard = rate // 50, levels(sound, rate // 50)
if len(heard) > (most := max(len(heard) // 10, 25)):  # silence at the ends: 30 dB below the loudest tenth
    first, *_, last = np.flatnonzero(heard >= np.sort(heard)[-most] - 30)
    sound = sound[(first + 1) * step if first else 0 : (last + 1) * step if last < len(heard) - 1 else None]

answers, seconds = [], []
for start in range(0, max(1, len(sound) - length // 2), length // 2):
    part = sound[start : start + length]
    loud = levels(np.pad(part, (step, 2 * step)), step) >= -60
    if len(part) >= 0.3 * rate and np.convolve(loud, np.ones(5)).max() > 4.5:  # a voice lasts 0.1 s
        inputs[voice][0] = np.pad(part, (0, length - len(part)))
        logits = run(**inputs)[facts["target"]["name"]][0] / temperature
        answers.append(np.exp(logits) / np.exp(logits).sum())
        seconds.append(len(part) / rate)
if not answers:
    sys.exit(f"{clip}: there is no voice in it.")
for share, label in sorted(zip(np.average(answers, 0, seconds), facts["target"]["classes"]), reverse=True):
    print(f"{label} {share:.4f}")
