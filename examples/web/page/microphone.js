// In the audio thread: hands the microphone's samples on.

class Microphone extends AudioWorkletProcessor {
  process([[channel]]) {
    if (channel) this.port.postMessage(channel);
    return true;
  }
}

registerProcessor('microphone', Microphone);
