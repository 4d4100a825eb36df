// Microphone and camera: the newest window of what they give.

import {faceInput, pixels} from './faces.js';
import {soundInput} from './sound.js';

export class Live {
  // `finder` promises the Faces; `shown` gets each camera frame and the face in it.
  static async start(spec, finder, {microphone, camera}, shown) {
    const live = Object.assign(new Live(), {spec, shown, rows: [], heard: 0});
    live.sound = new Float32Array(microphone ? spec.sound.samples : 0);
    live.stream = await navigator.mediaDevices.getUserMedia({
      // As it is: no gain, no filter.
      audio: microphone && {
        channelCount: 1,
        echoCancellation: false,
        noiseSuppression: false,
        autoGainControl: false,
      },
      video: camera && {width: 640, height: 480, facingMode: 'user'},
    });
    live.running = true;
    try {
      if (microphone) await live.listen();
    } catch (error) {
      live.stop();
      throw error;
    }
    if (camera) live.look(finder).catch(error => (live.error = error));
    return live;
  }

  async listen() {
    this.context = new AudioContext({sampleRate: this.spec.sound.rate});
    await this.context.audioWorklet.addModule('microphone.js');
    const node = new AudioWorkletNode(this.context, 'microphone', {numberOfOutputs: 0});
    node.port.onmessage = ({data}) => data.forEach(block => this.hear(block));
    this.context.createMediaStreamSource(this.stream).connect(node);
  }

  // The newest samples stand at the end.
  hear(block) {
    this.sound.copyWithin(0, block.length);
    this.sound.set(block, this.sound.length - block.length);
    this.heard = Math.min(this.sound.length, this.heard + block.length);
    this.newest = performance.now();
  }

  // One frame in 1 / rate seconds, or as many as there is time for.
  async look(finder) {
    const {rate, frames, each, confirmations} = this.spec.face;
    const video = Object.assign(document.createElement('video'), {muted: true, playsInline: true});
    video.srcObject = this.stream;
    await video.play();
    const faces = await finder;
    await faces.start(confirmations);
    while (true) {
      const time = performance.now();
      const frame = pixels(video, video.videoWidth, video.videoHeight);
      const picture = await createImageBitmap(frame); // the worker takes the frame away
      if (!this.running) return;
      const seen = await faces.next(frame, time / 1000);
      if (!this.running) return;
      this.rows = [...this.rows, {time: time / 1000, seen}].slice(-frames * each);
      this.newest = time;
      this.shown(picture, seen);
      await new Promise(resolve => setTimeout(resolve, 1000 / rate - (performance.now() - time)));
    }
  }

  // {inputs, newest}: the last window, and when its newest sample or frame came, by performance.now(). Before a whole
  // window is there, it is a short one with zeros after its end.
  window() {
    const {spec} = this;
    const inputs = {};
    if (this.sound.length) {
      inputs[spec.sound.name] = soundInput(this.sound.subarray(this.sound.length - this.heard), spec.sound);
    }
    if (this.rows.length) inputs[spec.face.name] = faceInput(this.steps(), spec.face);
    return {inputs, newest: this.newest};
  }

  // The face of each step of the last window; where a step has no frame of its own, the last one before. Stretches of
  // which the model takes one picture begin at the same times in each window, so that most pictures stay the same.
  steps() {
    const {rate, frames, each} = this.spec.face;
    const [first, last] = [this.rows[0], this.rows.at(-1)].map(({time}) => Math.floor((time * rate) / each));
    const begin = Math.max(first, last - frames + 1) * each;
    return Array.from({length: (last + 1) * each - begin}, (_, step) => {
      const time = (begin + step + 0.5) / rate;
      return (this.rows.findLast(row => row.time <= time) ?? this.rows[0]).seen;
    });
  }

  stop() {
    this.running = false;
    for (const track of this.stream.getTracks()) track.stop();
    this.context?.close();
  }
}
