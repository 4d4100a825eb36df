// Sound as the model takes it; `rules` are spec.sound, from keras_lmf.media.sound and keras_lmf.recognition.windows.

// The sound of a file, mono at `rate`; empty without any.
export async function decoded(file, rate) {
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
  } catch {
    return new Float32Array(0);
  }
  const channels = Array.from({length: buffer.numberOfChannels}, (_, i) => buffer.getChannelData(i));
  return channels[0].map((_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length);
}

// Decibels above `hertz` of pieces of two steps, one every step. What is below is left out by Parseval's theorem.
function levels(sound, {step, rate, hertz}) {
  const size = 2 * step;
  const turn = (2 * Math.PI) / size;
  const shape = Float64Array.from({length: size}, (_, i) => {
    const angle = (2 * Math.PI * i) / (size - 1);
    return 0.42 - 0.5 * Math.cos(angle) + 0.08 * Math.cos(2 * angle); // Blackman
  });
  const energy = shape.reduce((sum, value) => sum + value * value, 0);
  const below = Math.ceil((hertz * size) / rate); // frequencies, in steps of rate / size
  const waves = Array.from({length: below}, (_, k) => [
    Float64Array.from(shape, (value, i) => value * Math.cos(turn * k * i)),
    Float64Array.from(shape, (value, i) => value * Math.sin(turn * k * i)),
  ]);
  const count = Math.max(0, Math.floor((sound.length - size) / step) + 1);
  return Float64Array.from({length: count}, (_, piece) => {
    const from = piece * step;
    let power = 0;
    for (let i = 0; i < size; i++) power += (sound[from + i] * shape[i]) ** 2;
    power *= size;
    waves.forEach(([cosine, sine], k) => {
      let [real, imaginary] = [0, 0];
      for (let i = 0; i < size; i++) {
        real += sound[from + i] * cosine[i];
        imaginary += sound[from + i] * sine[i];
      }
      power -= (k ? 2 : 1) * (real * real + imaginary * imaginary);
    });
    return 10 * Math.log10(Math.max(power / (size * energy), 1e-20));
  });
}

// Whether there is enough sound for a voice, and as long above the level of silence as a voice lasts.
function hasVoice(sound, rules) {
  if (sound.length < rules.least) return false;
  const padded = new Float32Array(sound.length + 3 * rules.step);
  padded.set(sound, rules.step);
  let loud = 0;
  return levels(padded, rules).some(level => (loud = level >= rules.silence ? loud + 1 : 0) >= rules.steps);
}

// The sound without what is quiet at its ends, and at which sample it begins.
export function voiced(sound, rules) {
  const found = levels(sound, rules);
  const loudest = Math.max(Math.floor(found.length / rules.loudest_share), Math.ceil(rules.loudest_steps));
  if (found.length <= loudest) return {sound, first: 0};
  const least = found.toSorted().at(-loudest) - rules.quiet;
  const [from, to] = [found.findIndex(level => level >= least), found.findLastIndex(level => level >= least)];
  const first = from ? (from + 1) * rules.step : 0;
  return {sound: sound.subarray(first, to < found.length - 1 ? (to + 1) * rules.step : sound.length), first};
}

// The input of a stretch of sound: zeros after its end, and nothing but zeros without a voice.
export function soundInput(sound, rules) {
  const input = new Float32Array(rules.samples);
  if (hasVoice(sound, rules)) input.set(sound);
  return input;
}
