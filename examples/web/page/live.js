// Microphone and camera: the newest window of what they give.

import {faceInput, pixels} from './faces.js';
import {soundInput} from './sound.js';

// As it is: no gain, no filter.
const MICROPHONE = {channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false};
const CAMERA = {width: 640, height: 480, facingMode: 'user'};
const KINDS = {audio: 'microphone', audioinput: 'microphone', video: 'camera', videoinput: 'camera'};

export class Live {
  // `devices` are "microphone", "camera" or both; `finder` promises the Faces; `shown` gets each camera frame and the
  // face in it. The end of `signal` turns the devices off.
  static async start(spec, devices, finder, shown, signal) {
    const live = Object.assign(new Live(), {spec, signal, rows: [], heard: 0});
    live.stream = await permitted(devices);
    const stop = () => live.stream.getTracks().forEach(track => track.stop());
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    signal.throwIfAborted();
    for (const track of live.stream.getTracks()) {
      track.onended = () => (live.error = new Error(`The ${KINDS[track.kind]} was taken away.`));
    }
    live.sound = new Float32Array(devices.includes('microphone') ? spec.sound.samples : 0);
    if (live.sound.length) await live.listen();
    if (devices.includes('camera')) live.look(finder, shown).catch(error => (live.error = error));
    return live;
  }

  async listen() {
    const context = new AudioContext({sampleRate: this.spec.sound.rate});
    this.signal.addEventListener('abort', () => context.close());
    await context.audioWorklet.addModule('microphone.js');
    const node = new AudioWorkletNode(context, 'microphone', {numberOfOutputs: 0});
    node.port.onmessage = ({data}) => this.hear(data);
    context.createMediaStreamSource(this.stream).connect(node);
  }

  // The newest samples stand at the end.
  hear(block) {
    this.sound.copyWithin(0, block.length);
    this.sound.set(block, this.sound.length - block.length);
    this.heard = Math.min(this.sound.length, this.heard + block.length);
    this.newest = performance.now();
  }

  // One frame in 1 / rate seconds, or as many as there is time for.
  async look(finder, shown) {
    const {rate, frames, each, confirmations} = this.spec.face;
    const video = Object.assign(document.createElement('video'), {muted: true, playsInline: true});
    video.srcObject = this.stream;
    await video.play();
    const faces = await finder;
    if (!this.signal.aborted) await faces.start(confirmations);
    while (!this.signal.aborted) {
      const now = performance.now();
      const frame = pixels(video, video.videoWidth, video.videoHeight);
      const seen = await faces.next(frame, now / 1000);
      if (this.signal.aborted) return;
      this.rows = [...this.rows, {time: now / 1000, seen}].slice(-frames * each);
      this.newest = now;
      shown(frame, seen);
      await new Promise(resolve => setTimeout(resolve, 1000 / rate - (performance.now() - now)));
    }
  }

  // {inputs, newest}: the last window, and when its newest sample or frame came, by performance.now(). Before a whole
  // window is there, it is a short one with zeros after its end. Throws what went wrong meanwhile.
  window() {
    if (this.error) throw this.error;
    const {spec, sound, heard, newest} = this;
    const inputs = {};
    if (sound.length) inputs[spec.sound.name] = soundInput(sound.subarray(sound.length - heard), spec.sound);
    if (this.rows.length) inputs[spec.face.name] = faceInput(this.steps(), spec.face);
    return {inputs, newest};
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
}

async function permitted(devices) {
  const audio = devices.includes('microphone') && MICROPHONE;
  const video = devices.includes('camera') && CAMERA;
  const names = devices.join(' and ');
  try {
    return await navigator.mediaDevices.getUserMedia({audio, video});
  } catch (error) {
    if (error.name === 'NotAllowedError') {
      throw new Error(`The browser may not use the ${names}. Allow it beside the address, or choose a file.`);
    }
    const here = (await navigator.mediaDevices.enumerateDevices()).map(({kind}) => KINDS[kind]);
    const missing = devices.filter(name => !here.includes(name));
    if (!missing.length) throw new Error(`The ${names} can't be used: ${error.message}.`);
    const fix = missing.length < devices.length ? 'Untick it, or choose a file' : 'Choose a file instead';
    throw new Error(`There is no ${missing.join(' and no ')} on this machine. ${fix}.`);
  }
}
