// A file, window by window, as keras_lmf.recognition.windows lays them.

import {faceInput, pixels} from './faces.js';
import {decoded, soundInput, voiced} from './sound.js';

// What of a file the model takes: {sound, film}, `film` as {count, frame(number)}, or null without a picture.
export async function opened(file, spec) {
  const isPhoto = file.type.startsWith('image/');
  const sound = spec.sound && !isPhoto ? await decoded(file, spec.sound.rate) : new Float32Array(0);
  const film = spec.face && (await (isPhoto ? photo(file) : filmOf(file, spec.face.rate)));
  if (sound.length || film) return {sound, film};
  const wanted = [spec.sound && 'sound', spec.face && 'picture'].filter(Boolean).join(' and no ');
  throw new Error(`${file.name}: no ${wanted} that this browser can read.`);
}

async function photo(file) {
  const picture = await createImageBitmap(file, {colorSpaceConversion: 'none'}).catch(() => null);
  return picture && {count: 1, frame: () => pixels(picture, picture.width, picture.height)};
}

async function filmOf(file, rate) {
  const video = Object.assign(document.createElement('video'), {muted: true, preload: 'auto'});
  video.src = URL.createObjectURL(file);
  const readable = await new Promise(resolve => {
    video.onloadeddata = () => resolve(video.videoWidth > 0);
    video.onerror = () => resolve(false);
  });
  if (!readable) return null;
  if (!Number.isFinite(video.duration)) throw new Error(`${file.name}: it doesn't say how long it is.`);
  return {
    count: Math.max(1, Math.round(video.duration * rate)),
    async frame(number) {
      const seconds = number / rate;
      const shown = new Promise((resolve, reject) => {
        video.onseeked = resolve;
        video.onerror = () => reject(new Error(`${file.name}: no picture that this browser can read at ${seconds} s.`));
      });
      video.currentTime = seconds + 1e-4; // the last frame that isn't later
      await shown;
      return pixels(video, video.videoWidth, video.videoHeight);
    },
  };
}

// All windows {start, end, inputs} of what `opened` gave, in seconds. `shown` gets each frame and the face in it.
// Throws once `signal` is aborted.
export async function* windows({sound, film}, spec, faces, shown, signal) {
  if (film) yield* filmWindows(film, sound, spec, faces, shown, signal);
  else yield* soundWindows(sound, spec);
}

function* soundWindows(whole, spec) {
  const {rate, samples, name} = spec.sound;
  const {sound, first} = voiced(whole, spec.sound);
  for (const [from, to] of spans(sound.length, samples, spec.hop * rate)) {
    const inputs = {[name]: soundInput(sound.subarray(from, to), spec.sound)};
    yield {start: (first + from) / rate, end: (first + to) / rate, inputs};
  }
}

async function* filmWindows(film, sound, spec, faces, shown, signal) {
  const {rate, name, confirmations} = spec.face;
  signal.throwIfAborted(); // the film took a while to decode
  await faces.start(film.count === 1 ? 1 : confirmations);
  const seen = [];
  for (const [from, to] of spans(film.count, Math.max(1, Math.round(spec.seconds * rate)), spec.hop * rate)) {
    while (seen.length < to) {
      const frame = await film.frame(seen.length);
      signal.throwIfAborted(); // another film may have begun, and its faces
      seen.push(await faces.next(frame, seen.length / rate));
      shown(frame, seen.at(-1));
    }
    const inputs = {[name]: faceInput(seen.slice(from, to), spec.face)};
    if (spec.sound) {
      const [first, end] = [from, to].map(step => Math.round((step / rate) * spec.sound.rate));
      const part = sound.subarray(first, Math.min(end, first + spec.sound.samples));
      inputs[spec.sound.name] = soundInput(part, spec.sound);
    }
    yield {start: from / rate, end: to / rate, inputs};
  }
}

// Windows of `length` steps, one every `hop`; the last may be shorter, and holds something that the one before doesn't.
function* spans(total, length, hop) {
  for (let index = 0, stop = 0; ; index++) {
    const start = Math.round(index * hop);
    if (index && total <= Math.max(start, stop)) return;
    stop = start + length;
    yield [start, Math.min(stop, total)];
  }
}
