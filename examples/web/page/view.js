// What the page shows.

const SOURCES = ['#3d7ea6', '#e0a800', '#2f9e77']; // colours of the modalities, and of both together
const QUIET = 2000; // milliseconds between two answers that are read aloud

const at = id => document.getElementById(id);
const percent = share => `${Math.round(100 * share)}\u00a0%`;

export class View {
  constructor(spec) {
    const {labels, colors, sound, face} = spec;
    Object.assign(this, {labels, colors, face, media: [sound?.name, face?.name].filter(Boolean)});
    at('model').textContent = `Model: ${spec.name}`;
    at('licence').textContent = spec.licence ? `Licence of its weights: ${spec.licence}.` : '';
    at('devices').hidden = !sound || !face;
    at('kinds').textContent = [sound && 'sound', 'film', face && 'photo'].filter(Boolean).join(', ');
    at('file').accept = [sound && 'audio/*', 'video/*', face && 'image/*'].filter(Boolean).join();
    if (face) at('crop').width = at('crop').height = face.size;
    this.clear();
  }

  clear() {
    this.told = {time: -Infinity};
    at('spoken').textContent = ''; // so that the same answer of another file is read aloud, too
    at('picture').hidden = true;
    this.answer();
    this.sources({});
    this.course([]);
    this.speed();
  }

  status(text) {
    if (at('status').textContent !== text) at('status').textContent = text; // else it is read aloud again
  }

  // The most probable label: its number, and in words.
  best(probabilities) {
    const label = probabilities.indexOf(Math.max(...probabilities));
    return {label, text: `${this.labels[label]} ${percent(probabilities[label])}`};
  }

  // Probabilities by label, or none; the number of the most probable label.
  answer(probabilities) {
    const best = probabilities && this.best(probabilities);
    at('emotion').textContent = best?.text ?? '–';
    at('bars').replaceChildren(
      ...this.labels.map((name, label) => {
        const row = line(name, this.colors[label], probabilities?.[label]);
        row.classList.toggle('best', label === best?.label);
        return row;
      }),
    );
    return best?.label;
  }

  // One of many answers that follow one another: read aloud where it is another one than before.
  next(probabilities) {
    const label = this.answer(probabilities);
    if (label === undefined || label === this.told.label || performance.now() < this.told.time + QUIET) return;
    this.told = {label, time: performance.now()};
    this.speak();
  }

  speak() {
    at('spoken').textContent = at('emotion').textContent;
  }

  // Shares {"voice": 0.6, "face": 0.3, "voice × face": 0.1}, and what each modality alone says; nothing of a model
  // of one modality.
  sources({shares = {}, alone = {}}) {
    const rows = Object.entries(shares).map(([name, share]) => {
      const row = line(name, SOURCES.at(this.media.indexOf(name)), share); // −1, the last: both together
      const note = alone[name] ? `alone it says ${this.best(alone[name]).text}` : 'what needs both';
      row.append(element('span', 'note', note));
      return row;
    });
    at('sources').hidden = !rows.length;
    at('parts').replaceChildren(...rows);
  }

  // Milliseconds from the newest sample or frame to the answer, those of the model, and answers a second.
  speed(latency, run, rate) {
    at('speed').hidden = !rate;
    if (!rate) return;
    at('latency').textContent = `${Math.round(latency)} ms`;
    at('run').textContent = `${Math.round(run)} ms`;
    at('rate').textContent = rate.toFixed(1);
  }

  // A frame (ImageData) with the box of the face in it, and the model's picture; a camera's is shown as in a mirror.
  frame(frame, seen, mirrored) {
    at('picture').hidden = false;
    at('taken').textContent = seen ? 'This is what the model takes of the face.' : 'No face is found here.';
    const canvas = Object.assign(at('frame'), {width: frame.width, height: frame.height});
    canvas.classList.toggle('mirrored', mirrored);
    const context = canvas.getContext('2d');
    context.putImageData(frame, 0, 0);
    const crop = at('crop').getContext('2d');
    const {size, grey} = this.face;
    const image = crop.createImageData(size, size);
    if (seen) {
      const width = Math.max(1, frame.width / 250);
      for (const [strokeStyle, lineWidth] of [['black', 2 * width], ['white', width]]) {
        Object.assign(context, {strokeStyle, lineWidth});
        context.strokeRect(...seen.box);
      }
      const channels = grey ? 1 : 3;
      for (let pixel = 0; pixel < size * size; pixel++) {
        const [red, green = red, blue = red] = seen.crop.subarray(pixel * channels, (pixel + 1) * channels);
        image.data.set([255 * red, 255 * green, 255 * blue, 255], 4 * pixel);
      }
    }
    crop.putImageData(image, 0, 0);
  }

  // Answers [{start, end, answer}] over time, in seconds; two that overlap share what both cover. One is no course.
  course(spans) {
    at('course').hidden = spans.length < 2;
    if (spans.length < 2) return;
    const canvas = at('timeline');
    const context = canvas.getContext('2d');
    const [begin, end] = [spans[0].start, spans.at(-1).end];
    const edges = [begin, ...spans.slice(1).map(({start}, i) => (spans[i].end + start) / 2), end].map(
      time => ((time - begin) / (end - begin)) * canvas.width,
    );
    context.clearRect(0, 0, canvas.width, canvas.height);
    spans.forEach(({answer}, i) => {
      let top = 0;
      answer?.probabilities.forEach((share, label) => {
        const height = share * canvas.height;
        context.fillStyle = this.colors[label];
        context.fillRect(edges[i], top, edges[i + 1] - edges[i] + 0.5, height);
        top += height;
      });
    });
    [at('from').textContent, at('to').textContent] = [begin, end].map(seconds => `${seconds.toFixed(1)} s`);
    const told = spans.filter(({answer}) => answer).length;
    canvas.setAttribute('aria-label', `${told} answers in ${(end - begin).toFixed(1)} seconds`);
  }
}

// A line of a list: a name and its colour, a share of 1 as a bar and as a number, or none yet.
function line(name, color, share) {
  const row = element('li', 'line');
  row.style.setProperty('--color', color);
  const bar = Object.assign(element('progress'), {value: share ?? 0, ariaHidden: 'true'});
  row.append(element('span', 'name', name), bar, element('span', 'share', share === undefined ? '–' : percent(share)));
  return row;
}

function element(name, className = '', textContent = '') {
  return Object.assign(document.createElement(name), {className, textContent});
}
