// A file, window by window, as keras_lmf.recognition.windows lays them.

import {faceInput, pixels} from './faces.js';
import {decoded, soundInput, voiced} from './sound.js';

// What of a file the model takes: {sound, film}, `film` as {count, frame(number)}, or null without a picture.
export async function opened(file, spec) {
  const sound = spec.sound && !file.type.startsWith('image/') ? await decoded(file, spec.sound.rate) : new Float32Array(0);
  const film = !spec.face ? null : file.type.startsWith('image/') ? await photo(file) : await filmOf(file, spec.face.rate);
  if (sound.length || film) return {sound, film};
  const wanted = [spec.sound && 'sound', spec.face && 'picture'].filter(Boolean).join(' and no ');
  throw new Error(`${file.name}: no ${wanted} that this browser can read.`);
}

async function photo(file) {
  const picture = await createImageBitmap(file, {colorSpaceConversion: 'none'});
  return {count: 1, frame: () => pixels(picture, picture.width, picture.height)};
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
      const shown = new Promise(resolve => (video.onseeked = resolve));
      video.currentTime = number / rate + 1e-4; // the last frame that isn't later
      await shown;
      return pixels(video, video.videoWidth, video.videoHeight);
    },
  };
}

// Judges all windows: [{start, end, seconds, answer}]. `told` is called after each one with those so far, and `shown`
// after each frame with its pixels and its face; it ends early once `stopped` says so.
export async function judged(model, faces, {sound, film}, {told, shown, stopped}) {
  const {spec} = model;
  const windows = [];
  const add = async (start, end, inputs, seconds = end - start) => {
    windows.push({start, end, seconds, answer: await model.judge(inputs)});
    told(windows);
  };
  if (!film) {
    const {rate, samples, name} = spec.sound;
    const heard = voiced(sound, spec.sound);
    for (const [from, to] of spans(heard.sound.length, samples, spec.hop * rate)) {
      if (stopped()) break;
      const inputs = {[name]: soundInput(heard.sound.subarray(from, to), spec.sound)};
      await add((heard.first + from) / rate, (heard.first + to) / rate, inputs);
    }
    return windows;
  }
  const {rate, name} = spec.face;
  await faces.start(film.count === 1 ? 1 : spec.face.confirmations);
  const seen = [];
  for (const [from, to] of spans(film.count, Math.max(1, Math.round(spec.seconds * rate)), spec.hop * rate)) {
    while (seen.length < to) {
      const frame = await film.frame(seen.length);
      const picture = shown && (await createImageBitmap(frame)); // the worker takes the frame away
      if (stopped()) return windows;
      seen.push(await faces.next(frame, seen.length / rate));
      shown?.(picture, seen.at(-1));
    }
    const inputs = {[name]: faceInput(seen.slice(from, to), spec.face)};
    if (spec.sound) {
      const [first, end] = [from, to].map(step => Math.round((step / rate) * spec.sound.rate));
      const part = sound.subarray(first, end).subarray(0, spec.sound.samples);
      inputs[spec.sound.name] = soundInput(part, spec.sound);
    }
    await add(from / rate, to / rate, inputs, film.count === 1 && !sound.length ? 0 : (to - from) / rate);
  }
  return windows;
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
