// The page: what its controls start, and what is shown of it.

import {judged, opened} from './clip.js';
import {Faces} from './faces.js';
import {Live} from './live.js';
import {mean, Model} from './model.js';
import {View} from './view.js';

const PAUSE = 60; // milliseconds from one live answer to the next, at least
const PARTS = 15; // answers from one look at voice and face alone, which takes runs of its own, to the next
const RATED = 20; // answers over which their rate is taken

const at = id => document.getElementById(id);
const spec = await (await fetch('spec.json')).json();
const view = new View(spec);
const loading = Model.load(spec);
const finder = spec.face ? Faces.load(spec.face) : null; // takes longer, and a voice need not wait for it
finder?.catch(() => {}); // is told to whoever asks for it
let live = null;
let listening = false;
let work = 0; // its number: what is older ends

const names = [spec.sound && 'microphone', spec.face && 'camera'].filter(Boolean);
const title = running => (running ? 'Stop' : `Start ${names.join(' and ')}`);

function stop() {
  work++;
  live?.stop();
  live = null;
  listening = false;
  at('start').textContent = title(false);
}

// What begins ends all before; its errors are told. `job` gets a function that says whether something else began.
async function begin(job) {
  stop();
  view.clear();
  const mine = work;
  try {
    await job(() => work !== mine);
  } catch (error) {
    if (work !== mine) return;
    stop();
    view.status(error.message);
  }
}

async function listen(stopped) {
  const model = await loading;
  const chosen = Object.fromEntries(['microphone', 'camera'].map(name => [name, names.includes(name) && at(name).checked]));
  if (!chosen.microphone && !chosen.camera) throw new Error('Choose the microphone, the camera or both.');
  view.status('Waiting for your permission …');
  listening = true;
  at('start').textContent = title(true);
  const started = await Live.start(spec, finder, chosen, (picture, seen) => view.frame(picture, seen, true));
  if (stopped()) return started.stop();
  live = started;
  const begun = performance.now();
  let [answers, since] = [[], PARTS - 1];
  while (!stopped()) {
    if (live.error) throw live.error;
    const {inputs, newest} = live.window();
    const from = performance.now();
    const parts = since === PARTS;
    const answer = await (parts ? model.judge(inputs) : model.answer(inputs));
    if (stopped()) return;
    const now = performance.now();
    view.next(answer?.probabilities ?? null);
    view.add((now - begun) / 1000, answer?.probabilities);
    view.status(answer ? 'Live.' : nothing(chosen));
    if (answer) {
      answers = [...answers, now].slice(-RATED);
      if (!parts) view.speed(now - newest, now - from, (1000 * (answers.length - 1)) / (now - answers[0]));
    }
    since = !answer ? PARTS - 1 : parts ? 0 : since + 1; // the first answer shall come soon
    if (!answer) view.sources({});
    else if (parts) view.sources(mean([{seconds: 1, answer}]));
    await new Promise(resolve => setTimeout(resolve, Math.max(0, from + PAUSE - performance.now())));
  }
}

function nothing({microphone, camera}) {
  return `There is ${[microphone && 'no voice', camera && 'no face'].filter(Boolean).join(' and ')} yet.`;
}

async function read(file, stopped) {
  const model = await loading;
  view.status(`Reading ${file.name} …`);
  const clip = await opened(file, spec);
  const windows = await judged(model, await finder, clip, {
    stopped,
    told: windows => show(windows),
    shown: (picture, seen) => view.frame(picture, seen, false),
  });
  if (stopped()) return;
  view.speak();
  view.status(windows.some(({answer}) => answer) ? `${file.name}: done.` : `${file.name}: nothing to judge by.`);
}

function show(windows) {
  const found = mean(windows);
  view.answer(found?.probabilities ?? null);
  view.sources(found ?? {});
  view.windows(windows);
}

at('start').textContent = title(false);
at('start').addEventListener('click', () => {
  if (listening) {
    stop();
    view.status('Stopped.');
  } else begin(listen);
});
at('file').addEventListener('click', ({target}) => (target.value = '')); // else the same file again is no change
at('file').addEventListener('change', ({target: {files}}) => files.length && begin(stopped => read(files[0], stopped)));
addEventListener('dragover', event => event.preventDefault());
addEventListener('drop', event => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) begin(stopped => read(file, stopped));
});

try {
  await loading;
  at('start').disabled = at('file').disabled = false;
  view.status('Ready.');
} catch (error) {
  view.status(`The model can't be loaded: ${error.message}`);
}
