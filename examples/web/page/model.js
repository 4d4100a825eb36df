// What a model says of one window: probabilities, each modality alone, and what comes from which.

import {ask} from './workers.js';

const TOGETHER = ' × ';

export class Model {
  // `spec` is spec.json: what the server told of the model.
  static async load(spec) {
    const model = new Model();
    model.spec = spec;
    model.media = [spec.sound, spec.face].filter(Boolean).map(({name}) => name);
    model.worker = new Worker('model.worker.js');
    await ask(model.worker, {load: spec});
    model.ofNothing = await model.logits({}, []); // which also warms it up
    return model;
  }

  // Of these inputs alone.
  logits(inputs, names) {
    return ask(this.worker, {inputs: Object.fromEntries(names.map(name => [name, inputs[name]]))});
  }

  // The modalities that are there, by the rule that zeros are none; null where too little is there to judge by.
  there(inputs) {
    const there = this.media.filter(name => inputs[name]?.some(value => value !== 0));
    const enough = this.spec.presence === 'derived' ? there.length > 0 : there.length === this.media.length;
    return enough ? there : null;
  }

  probabilities(logits, there) {
    return softmax(logits, this.spec.temperatures[[...there].sort().join(' + ')]);
  }

  // {there, logits, probabilities} of inputs {name: Float32Array}; null with nothing to judge by.
  async answer(inputs) {
    const there = this.there(inputs);
    if (!there) return null;
    const logits = await this.logits(inputs, there);
    return {there, logits, probabilities: this.probabilities(logits, there)};
  }

  // The same with `alone` {modality: probabilities} and `contributions` {title: numbers}, of a model that can do
  // without a modality. Inclusion and exclusion, as keras_lmf.evaluation.terms.
  async judge(inputs) {
    const answer = await this.answer(inputs);
    if (!answer || this.spec.presence !== 'derived' || this.media.length < 2) return answer;
    const {there} = answer;
    const constant = centred(this.ofNothing);
    let rest = minus(centred(answer.logits), constant);
    const [alone, contributions] = [{}, {}];
    for (const name of there) {
      const logits = there.length === 1 ? answer.logits : await this.logits(inputs, [name]);
      alone[name] = this.probabilities(logits, [name]);
      contributions[name] = minus(centred(logits), constant);
      rest = minus(rest, contributions[name]);
    }
    if (there.length > 1) contributions[there.join(TOGETHER)] = rest;
    return {...answer, alone, contributions};
  }
}

// What is said of several windows [{start, end, answer}], weighted by their lengths; null where none says anything.
export function mean(windows) {
  const told = windows.filter(({answer}) => answer).map(({start, end, answer}) => ({seconds: end - start, ...answer}));
  if (!told.length) return null;
  const average = (rows, pick) => {
    const seconds = sum(rows.map(row => row.seconds));
    return pick(rows[0]).map((_, i) => sum(rows.map(row => row.seconds * pick(row)[i])) / seconds);
  };
  const alone = {};
  for (const name of new Set(told.flatMap(row => Object.keys(row.alone ?? {})))) {
    alone[name] = average(told.filter(row => row.alone[name]), row => row.alone[name]);
  }
  const lengths = {};
  for (const {seconds, contributions = {}} of told) {
    for (const [title, numbers] of Object.entries(contributions)) {
      lengths[title] = (lengths[title] ?? 0) + seconds * Math.hypot(...numbers);
    }
  }
  const whole = sum(Object.values(lengths));
  const shares = Object.fromEntries(Object.entries(lengths).map(([title, length]) => [title, length / whole]));
  return {probabilities: average(told, row => row.probabilities), alone, shares};
}

function softmax(logits, temperature) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, value => Math.exp((value - largest) / temperature));
  const whole = sum(powers);
  return powers.map(power => power / whole);
}

function centred(logits) {
  const average = sum(logits) / logits.length;
  return Array.from(logits, value => value - average);
}

function minus(one, other) {
  return one.map((value, i) => value - other[i]);
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
