// The page: what its controls start, and what is shown of it.

import {opened, windows} from './clip.js';
import {Faces} from './faces.js';
import {Live} from './live.js';
import {mean, Model} from './model.js';
import {View} from './view.js';

const PAUSE = 60; // milliseconds from one live answer to the next, at least
const PARTS = 16; // of so many live answers one says where it comes from, which takes more runs of the model
const RATED = 20; // answers over which their rate is taken
const COURSE = 60; // seconds of live answers that are shown

const at = id => document.getElementById(id);
const spec = await (await fetch('spec.json')).json();
const view = new View(spec);
const loading = Model.load(spec);
const finder = spec.face ? Faces.load(spec.face) : null; // takes longer, and a voice need not wait for it
finder?.catch(() => {}); // is told to whoever asks for it
const devices = [spec.sound && 'microphone', spec.face && 'camera'].filter(Boolean);
let job = null; // what runs: its AbortController

const chosen = () => devices.filter(name => at(name).checked);

function controls() {
  at('start').textContent = job ? 'Stop' : `Start ${chosen().join(' and ')}`;
  at('devices').disabled = Boolean(job);
}

function stop() {
  job?.abort();
  job = null;
  controls();
}

// What begins ends all before; its errors are told.
async function begin(work) {
  stop();
  const mine = (job = new AbortController());
  controls();
  view.clear();
  try {
    await work(mine.signal);
  } catch (error) {
    if (job === mine) view.status(error.message);
  }
  if (job === mine) stop();
}

async function listen(signal) {
  const names = chosen();
  if (!names.length) throw new Error('Choose the microphone, the camera or both.');
  const model = await loading;
  view.status('Waiting for your permission …');
  const live = await Live.start(spec, names, finder, (frame, seen) => view.frame(frame, seen, true), signal);
  const begun = performance.now();
  let course = [];
  let count = 0; // of answers in a row by the same modalities
  let times = []; // of the last answers in a row
  while (true) {
    const {inputs, newest} = live.window();
    const from = performance.now();
    const parts = count % PARTS === 1;
    const answer = await (parts ? model.judge(inputs) : model.answer(inputs));
    if (signal.aborted) return;
    const now = performance.now();
    const last = course.at(-1);
    count = !answer ? 0 : String(answer.there) === String(last?.answer?.there) ? count + 1 : 1;
    times = answer ? [...times, now].slice(-RATED) : [];
    const end = (now - begun) / 1000;
    course = [...course, {start: last?.end ?? 0, end, answer}].filter(({start}) => start > end - COURSE);
    view.next(answer?.probabilities);
    view.course(course);
    view.status(answer ? 'Live.' : `There is ${nothing(names)} yet.`);
    if (!answer) view.sources({});
    else if (parts) view.sources(mean(course.slice(-1)));
    else view.speed(now - newest, now - from, (1000 * (times.length - 1)) / (now - times[0]));
    await new Promise(resolve => setTimeout(resolve, from + PAUSE - performance.now()));
  }
}

async function read(file, signal) {
  const model = await loading;
  view.status(`Reading ${file.name} …`);
  const clip = await opened(file, spec);
  const shown = (frame, seen) => signal.aborted || view.frame(frame, seen, false);
  const judged = [];
  for await (const {start, end, inputs} of windows(clip, spec, await finder, shown, signal)) {
    const answer = await model.judge(inputs);
    if (signal.aborted) return;
    judged.push({start, end, answer});
    const found = mean(judged);
    view.answer(found?.probabilities);
    view.sources(found ?? {});
    view.course(judged);
  }
  view.speak();
  const there = model.media.filter(name => judged.some(({answer}) => answer?.there.includes(name)));
  const alone = there.length < model.media.length ? `, by the ${there[0]} alone` : '';
  view.status(`${file.name}: ${there.length ? `done${alone}` : `nothing to judge by: ${nothing(devices)}`}.`);
}

function nothing(names) {
  return names.map(name => (name === 'microphone' ? 'no voice' : 'no face')).join(' and ');
}

const choose = file => file && begin(signal => read(file, signal));

controls();
for (const name of devices) at(name).addEventListener('change', controls);
at('start').addEventListener('click', () => {
  if (!job) return begin(listen);
  stop();
  view.status('Stopped.');
});
at('file').addEventListener('click', ({target}) => (target.value = '')); // else the same file again is no change
at('file').addEventListener('change', ({target}) => choose(target.files[0]));
addEventListener('dragover', event => event.preventDefault());
addEventListener('drop', event => {
  event.preventDefault();
  at('file').files = event.dataTransfer.files;
  choose(event.dataTransfer.files[0]);
});

try {
  await loading;
  at('start').disabled = at('file').disabled = false;
  view.status('Ready.');
} catch (error) {
  view.status(`The model can't be loaded: ${error.message}`);
}
