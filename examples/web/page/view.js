// What the page shows.

const at = id => document.getElementById(id);
const percent = share => `${Math.round(100 * share)}\u00a0%`;
const LIVE = 60; // seconds of the timeline
const QUIET = 2000; // milliseconds between two answers that are read aloud

export class View {
  constructor(spec) {
    this.labels = spec.labels;
    this.colors = spec.colors;
    at('model').textContent = `${spec.name} answers, from the file ${spec.file}.`;
    at('licence').textContent = spec.licence ? `Licence of the weights: ${spec.licence}.` : '';
    at('use-microphone').hidden = !spec.sound || !spec.face;
    at('use-camera').hidden = !spec.sound || !spec.face;
    at('bars').replaceChildren(
      ...this.labels.map((label, i) => {
        const row = element('li', 'row');
        row.style.setProperty('--color', this.colors[i]);
        row.append(element('span', 'label', label), element('span', 'bar'), element('span', 'share', '–'));
        row.children[1].append(element('span', 'fill'));
        return row;
      }),
    );
    const crop = at('crop');
    if (spec.face) crop.width = crop.height = spec.face.size;
    this.grey = spec.face?.grey;
    this.clear();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.timeline());
    addEventListener('resize', () => this.timeline());
  }

  clear() {
    this.points = [];
    this.bounds = null;
    this.told = {time: -Infinity};
    at('spoken').textContent = ''; // so that the same answer of another file is read aloud, too
    at('picture').hidden = true;
    this.answer(null);
    this.sources({});
    this.speed();
    this.timeline();
  }

  status(text) {
    if (at('status').textContent !== text) at('status').textContent = text; // else it is read aloud again
  }

  // Probabilities by label, or null with nothing to judge by; the number of the most probable label.
  answer(probabilities) {
    const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
    const text = best < 0 ? '–' : `${this.labels[best]} ${percent(probabilities[best])}`;
    at('emotion').textContent = text;
    [...at('bars').children].forEach((row, i) => {
      row.classList.toggle('best', i === best);
      row.querySelector('.fill').style.width = probabilities ? `${100 * probabilities[i]}%` : 0;
      row.lastChild.textContent = probabilities ? percent(probabilities[i]) : '–';
    });
    return best;
  }

  // One of many answers that follow one another: read aloud where it is another one than before.
  next(probabilities) {
    const best = this.answer(probabilities);
    if (best < 0 || best === this.told.best || performance.now() < this.told.time + QUIET) return;
    this.told = {best, time: performance.now()};
    this.speak();
  }

  speak() {
    at('spoken').textContent = at('emotion').textContent;
  }

  // Shares {"voice": 0.6, "face": 0.3, "voice × face": 0.1}, and what each modality alone says; nothing of a model
  // of one modality.
  sources({shares = {}, alone = {}}) {
    const titles = Object.keys(shares);
    at('sources').hidden = !titles.length;
    at('shares').replaceChildren(
      ...titles.map((title, i) => {
        const part = element('span', `part s${i}`);
        part.style.flexGrow = shares[title];
        return part;
      }),
    );
    const lines = titles.map(title => {
      const best = alone[title]?.indexOf(Math.max(...alone[title]));
      const told = alone[title] ? `; alone it says ${this.labels[best]} ${percent(alone[title][best])}` : '';
      return `${title} ${percent(shares[title])}${told}`;
    });
    at('parts').replaceChildren(...lines.map((line, i) => element('li', `s${i}`, line)));
  }

  // Milliseconds from the newest sample or frame to the answer, those of the model, and answers a second.
  speed(latency, run, rate) {
    at('speed').hidden = !rate;
    if (!rate) return;
    at('latency').textContent = `${Math.round(latency)} ms`;
    at('run').textContent = `${Math.round(run)} ms`;
    at('rate').textContent = rate.toFixed(1);
  }

  // A frame (ImageBitmap) with the box of the face in it; a camera's is shown as in a mirror.
  frame(picture, seen, mirrored) {
    const canvas = at('frame');
    at('picture').hidden = false;
    Object.assign(canvas, {width: picture.width, height: picture.height});
    canvas.classList.toggle('mirrored', mirrored);
    const context = canvas.getContext('2d');
    context.drawImage(picture, 0, 0);
    picture.close();
    const crop = at('crop').getContext('2d');
    crop.clearRect(0, 0, crop.canvas.width, crop.canvas.height);
    if (!seen) return;
    Object.assign(context, {lineWidth: Math.max(2, canvas.width / 160), strokeStyle: color('--accent')});
    context.strokeRect(...seen.box);
    const image = crop.createImageData(crop.canvas.width, crop.canvas.height);
    const channels = this.grey ? 1 : 3;
    for (let i = 0; i < image.data.length; i++) {
      const [pixel, channel] = [i >> 2, i & 3];
      image.data[i] = channel === 3 ? 255 : 255 * seen.crop[pixel * channels + Math.min(channel, channels - 1)];
    }
    crop.putImageData(image, 0, 0);
  }

  // A live answer at a time in seconds.
  add(time, probabilities) {
    this.points = [...this.points, {time, probabilities}].filter(point => point.time > time - LIVE);
    this.bounds = [Math.max(this.points[0].time, time - LIVE), time];
    this.timeline();
  }

  // The windows of a clip.
  windows(windows) {
    this.points = windows.map(({start, end, answer}) => ({
      time: (start + end) / 2,
      probabilities: answer?.probabilities,
    }));
    this.bounds = [windows[0].start, windows.at(-1).end];
    this.timeline();
  }

  timeline() {
    const canvas = at('timeline');
    const {points, bounds} = this;
    at('course').hidden = !bounds || bounds[1] <= bounds[0];
    if (at('course').hidden) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map(side => side * devicePixelRatio);
    Object.assign(canvas, {width, height});
    [at('from').textContent, at('to').textContent] = bounds.map(seconds => `${seconds.toFixed(1)} s`);
    const context = canvas.getContext('2d');
    const x = time => ((time - bounds[0]) / (bounds[1] - bounds[0])) * width;
    points.forEach(({time, probabilities}, i) => {
      const left = i ? x((points[i - 1].time + time) / 2) : 0;
      const right = i < points.length - 1 ? x((points[i + 1].time + time) / 2) : width;
      let top = 0;
      for (const [label, share] of (probabilities ?? []).entries()) {
        context.fillStyle = this.colors[label];
        context.fillRect(left, top * height, right - left + 0.5, share * height);
        top += share;
      }
    });
    const told = points.filter(({probabilities}) => probabilities).length;
    canvas.setAttribute('aria-label', `${told} answers in ${(bounds[1] - bounds[0]).toFixed(1)} seconds`);
  }
}

function element(name, className, text = '') {
  return Object.assign(document.createElement(name), {className, textContent: text});
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
