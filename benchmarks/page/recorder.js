/** Audio worklet: posts what it hears, with the number of each block's first sample on the context's clock. */
class Recorder extends AudioWorkletProcessor {
  /** @param {Float32Array[][]} inputs */
  process([[samples]]) {
    if (samples) this.port.postMessage({ at: currentFrame, samples: samples.slice() });
    return true;
  }
}

registerProcessor("recorder", Recorder);
