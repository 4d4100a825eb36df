// What a model says of one window: probabilities, each modality alone, and what comes from which.

import {Asked} from './workers.js';

const TOGETHER = ' × ';

export class Model {
  // `spec` is spec.json: what the server told of the model.
  static async load(spec) {
    const model = new Model();
    model.spec = spec;
    model.media = [spec.sound, spec.face].filter(Boolean).map(({name}) => name);
    model.worker = new Asked('model.worker.js');
    await model.worker.ask({load: spec});
    model.ofNothing = await model.logits({}); // which also warms it up
    return model;
  }

  logits(inputs) {
    return this.worker.ask({inputs});
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

  // {there, probabilities} of inputs {name: Float32Array}; null with nothing to judge by.
  async answer(inputs) {
    const there = this.there(inputs);
    if (!there) return null;
    const logits = await this.logits(only(inputs, there));
    return {there, logits, probabilities: this.probabilities(logits, there)};
  }

  // The same with `alone` {modality: probabilities} and `contributions` {title: numbers}, of a model that can do
  // without a modality. Inclusion and exclusion, as keras_lmf.evaluation.terms.
  async judge(inputs) {
    const answer = await this.answer(inputs);
    if (!answer || this.spec.presence !== 'derived' || this.media.length < 2) return answer;
    const {there} = answer;
    const singles = await inTurn(there, name =>
      there.length === 1 ? answer.logits : this.logits(only(inputs, [name])),
    );
    const [constant, whole, ...parts] = [this.ofNothing, answer.logits, ...singles].map(centred);
    const terms = parts.map(part => part.map((value, i) => value - constant[i]));
    const contributions = Object.fromEntries(there.map((name, m) => [name, terms[m]]));
    if (there.length > 1) {
      contributions[there.join(TOGETHER)] = whole.map(
        (value, i) => value - constant[i] - terms.reduce((sum, term) => sum + term[i], 0),
      );
    }
    const alone = Object.fromEntries(there.map((name, m) => [name, this.probabilities(singles[m], [name])]));
    return {...answer, alone, contributions};
  }
}

// What is said of several windows [{seconds, answer}], weighted by their seconds; null where none says anything.
export function mean(windows) {
  const told = windows.filter(({answer}) => answer);
  if (!told.length) return null;
  const timeless = told.every(({seconds}) => !seconds); // a photo
  const average = pick => {
    const rows = told.map(({seconds, answer}) => [timeless ? 1 : seconds, pick(answer)]).filter(([, row]) => row);
    const weight = rows.reduce((sum, [seconds]) => sum + seconds, 0);
    return rows[0][1].map((_, i) => rows.reduce((sum, [seconds, row]) => sum + seconds * row[i], 0) / weight);
  };
  const names = new Set(told.flatMap(({answer}) => Object.keys(answer.alone ?? {})));
  const lengths = {};
  for (const {seconds, answer} of told) {
    for (const [title, numbers] of Object.entries(answer.contributions ?? {})) {
      lengths[title] = (lengths[title] ?? 0) + (timeless ? 1 : seconds) * Math.hypot(...numbers);
    }
  }
  const whole = Object.values(lengths).reduce((sum, length) => sum + length, 0);
  return {
    probabilities: average(answer => answer.probabilities),
    alone: Object.fromEntries([...names].map(name => [name, average(answer => answer.alone?.[name])])),
    shares: Object.fromEntries(Object.entries(lengths).map(([title, length]) => [title, length / whole])),
  };
}

function softmax(logits, temperature) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, value => Math.exp((value - largest) / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map(power => power / sum);
}

function centred(logits) {
  const average = logits.reduce((sum, value) => sum + value, 0) / logits.length;
  return Array.from(logits, value => value - average);
}

function only(inputs, names) {
  return Object.fromEntries(names.map(name => [name, inputs[name]]));
}

async function inTurn(things, ask) {
  const answers = [];
  for (const thing of things) answers.push(await ask(thing));
  return answers;
}
