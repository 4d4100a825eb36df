// Runs the model, off the page's thread: LiteRT.js.

const MOST_THREADS = 4; // more wait for one another
let model, frames, Tensor, spec;

async function load(told) {
  const litert = await import('./litert/index.js');
  Tensor = litert.Tensor;
  spec = told;
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
  const compiled = file => litert.loadAndCompile(file, {accelerator: 'wasm', cpuOptions});
  model = await compiled('model.tflite');
  if (!spec.picture) return;
  const {Frames} = await import('./frames.js');
  const network = await compiled('frame.tflite');
  frames = new Frames(picture => run(network, {picture}, {picture: spec.picture}, 'features'), spec.face.frames);
}

// One output of a model as an array; an input that isn't given is zeros.
async function run(model, given, shapes, output) {
  const tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, new Tensor(given[name] ?? new Float32Array(size(shape)), shape)]),
  );
  const outputs = await model.run(tensors);
  const array = Float32Array.from(outputs[output].toTypedArray());
  for (const tensor of [...Object.values(tensors), ...Object.values(outputs)]) tensor.delete();
  return array;
}

// The logits of one row.
async function logits(inputs) {
  if (!frames) return run(model, inputs, spec.inputs, spec.target);
  const pictures = inputs[spec.face.name] ?? new Float32Array(spec.face.frames * size(spec.picture));
  const features = await frames.features(pictures, size(spec.picture));
  return run(model, {...inputs, features}, spec.inputs, spec.target);
}

function size(shape) {
  return shape.reduce((product, width) => product * width, 1);
}

self.onmessage = async ({data: {load: told, inputs}, ports: [port]}) => {
  try {
    port.postMessage({answer: await (told ? load(told) : logits(inputs))});
  } catch (error) {
    port.postMessage({error: String(error)});
  }
};
