// Runs the model, off the page's thread: LiteRT.js.

const MOST_THREADS = 4; // more wait for one another
let model, Tensor, shapes, target;

async function load(spec) {
  const litert = await import('./litert/index.js');
  Tensor = litert.Tensor;
  ({inputs: shapes, target} = spec);
  const folder = new URL('litert/wasm/', self.location.href).href;
  const [shared, fast] = await Promise.all(['threads', 'relaxedSimd'].map(litert.supportsFeature));
  const threads = shared && fast; // LiteRT.js has them together
  // Else these are looked for beside this script, and the threads run this script.
  self.Module = {
    locateFile: name => folder + name,
    mainScriptUrlOrBlob: `${folder}litert_wasm_threaded_internal.js`,
  };
  await litert.loadLiteRt(folder, {threads});
  const cpuOptions = {numThreads: threads ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1};
  model = await litert.loadAndCompile('model.tflite', {accelerator: 'wasm', cpuOptions});
}

// The logits of one row; an input that isn't given is zeros.
async function run(given) {
  const tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const size = shape.reduce((product, width) => product * width, 1);
      return [name, new Tensor(given[name] ?? new Float32Array(size), shape)];
    }),
  );
  const outputs = await model.run(tensors);
  const logits = Float32Array.from(outputs[target].toTypedArray());
  for (const tensor of [...Object.values(tensors), ...Object.values(outputs)]) tensor.delete();
  return logits;
}

self.onmessage = async ({data: {id, load: spec, inputs}}) => {
  try {
    self.postMessage({id, answer: spec ? await load(spec) : await run(inputs)});
  } catch (error) {
    self.postMessage({id, error: String(error)});
  }
};
