// In the audio thread: hands the microphone's samples on, some at a time.

class Microphone extends AudioWorkletProcessor {
  held = [];

  process([[channel]]) {
    if (channel) this.held.push(channel.slice());
    if (this.held.length >= 8) {
      this.port.postMessage(this.held);
      this.held = [];
    }
    return true;
  }
}

registerProcessor('microphone', Microphone);
