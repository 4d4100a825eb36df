// Faces as the model takes them; `rules` are spec.face, from keras_lmf.media.crops.

import {ask} from './workers.js';

export class Faces {
  static async load(rules) {
    const faces = new Faces();
    faces.worker = new Worker('face.worker.js');
    await ask(faces.worker, {load: rules});
    return faces;
  }

  // From here on another film, or a single picture, which nothing can confirm.
  start(confirmations) {
    return ask(this.worker, {start: {confirmations}});
  }

  // {box, crop} of the face in the next frame (ImageData), or null.
  next(frame, time) {
    return ask(this.worker, {frame, time});
  }
}

// The input of a window's frames, [{crop} or null] at the rate in which faces are followed: of each stretch the first
// frame with a face, else zeros.
export function faceInput(seen, {frames, each, size, grey}) {
  const pixels = size * size * (grey ? 1 : 3);
  const input = new Float32Array(frames * pixels);
  for (let picture = 0; picture < frames; picture++) {
    const found = seen.slice(picture * each, (picture + 1) * each).find(Boolean);
    if (found) input.set(found.crop, picture * pixels);
  }
  return input;
}

// The pixels of a picture, a film or a camera as they are shown.
export function pixels(source, width, height) {
  const context = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true});
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
