// Plays a plan on the page in headless Chromium and prints what happened as JSON: node browser.mjs PLAN.json
// PLAN: {address, package, chromium, flags, steps}; each step is one of STEPS with its arguments.

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const plan = JSON.parse(readFileSync(process.argv[2]));
const {chromium} = createRequire(plan.package)('playwright-core');
const browser = await chromium.launch({
  executablePath: plan.chromium,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream', ...plan.flags],
});
const page = await browser.newPage();
page.setDefaultTimeout(200000);
const told = {results: [], requests: [], problems: []};
page.on('request', request => told.requests.push(request.url()));
page.on('pageerror', error => told.problems.push(error.message));
page.on('console', message => {
  // LiteRT.js tells its log, and the lack of a GPU, on the console.
  if (!/INFO:|WARNING:|WebGPU|GPU adapter|No available adapters/.test(message.text())) told.problems.push(message.text());
});

const shown = () =>
  page.evaluate(() => {
    const at = id => document.getElementById(id);
    const texts = selector => [...document.querySelectorAll(selector)].map(({textContent}) => textContent);
    const shares = [...document.querySelectorAll('#bars progress')].map(({value}) => value);
    return {
      status: at('status').textContent,
      emotion: at('emotion').textContent,
      spoken: at('spoken').textContent,
      probabilities: Object.fromEntries(texts('#bars .name').map((label, i) => [label, shares[i]])),
      parts: texts('#parts .name'),
      speed: at('speed').hidden ? null : texts('#speed dd'),
    };
  });

async function finished() {
  await page.waitForFunction(() => /: (done|nothing|no )/.test(document.getElementById('status').textContent));
  return shown();
}

const STEPS = {
  async choose({path}) {
    await page.setInputFiles('#file', path);
    return finished();
  },

  async drop({path, type}) {
    const bytes = readFileSync(path).toString('base64');
    await page.evaluate(
      async ([bytes, name, type]) => {
        const content = Uint8Array.from(atob(bytes), character => character.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([content], name, {type}));
        document.body.dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true}));
      },
      [bytes, path.split('/').at(-1), type],
    );
    return finished();
  },

  // The page's own functions on samples (float32) and frames (RGBA bytes) as they are.
  async judge({sound, frames, width, height}) {
    for (const [name, path] of Object.entries({sound, frames})) {
      await page.route(`**/given/${name}`, route => route.fulfill({body: readFileSync(path)}));
    }
    return page.evaluate(
      async ([width, height]) => {
        const given = async name => (await fetch(`given/${name}`)).arrayBuffer();
        const [{Model}, {Faces}, {windows}] = await Promise.all(['/model.js', '/faces.js', '/clip.js'].map(path => import(path)));
        const spec = await (await fetch('spec.json')).json();
        const [model, faces] = [await Model.load(spec), await Faces.load(spec.face)];
        const [sound, bytes] = [new Float32Array(await given('sound')), new Uint8ClampedArray(await given('frames'))];
        const size = 4 * width * height;
        const frame = number => new ImageData(bytes.slice(number * size, (number + 1) * size), width, height);
        const film = {count: bytes.length / size, frame};
        const {signal} = new AbortController();
        const judged = [];
        for await (const {start, end, inputs} of windows({sound, film}, spec, faces, () => {}, signal)) {
          judged.push({start, end, answer: await model.judge(inputs)});
        }
        return judged;
      },
      [width, height],
    );
  },

  // Start, where it can't go on: what the page says.
  async refused() {
    await page.click('#start');
    await page.waitForFunction(() => /machine|may not/.test(document.getElementById('status').textContent));
    return shown();
  },

  // Microphone and camera by the keyboard alone, for so many answers of all that is there.
  async listen({answers, parts}) {
    await page.focus('#start');
    const from = Date.now();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.getElementById('emotion').textContent !== '–');
    const first = Date.now() - from;
    await page.waitForFunction(count => document.querySelectorAll('#parts li').length >= count, parts);
    const changes = await page.evaluate(
      count =>
        new Promise(resolve => {
          const seen = [];
          new MutationObserver(() => seen.push(performance.now()) >= count && resolve(seen)).observe(
            document.getElementById('timeline'),
            {attributes: true, attributeFilter: ['aria-label']},
          );
        }),
      answers,
    );
    const found = await shown();
    await page.keyboard.press('Enter');
    const stopped = await shown();
    return {...found, first, rate: (1000 * (answers - 1)) / (changes.at(-1) - changes[0]), stopped: stopped.status};
  },

  // What the Tab key reaches, and whether it shows that it is there.
  async tab({times}) {
    await page.evaluate(() => document.activeElement.blur());
    const reached = [];
    for (let i = 0; i < times; i++) {
      await page.keyboard.press('Tab');
      reached.push(
        await page.evaluate(() => {
          const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
          return [document.activeElement.id, outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2];
        }),
      );
    }
    return reached;
  },

  // A picture of the page; how wide it is.
  async look({path, width, height, colors}) {
    await page.setViewportSize({width, height});
    await page.emulateMedia({colorScheme: colors});
    if (path) await page.screenshot({path, fullPage: true});
    return page.evaluate(() => document.documentElement.scrollWidth);
  },
};

try {
  const from = Date.now();
  await page.goto(plan.address);
  await page.waitForFunction(() => !document.getElementById('start').disabled);
  told.ready = Date.now() - from;
  for (const {step, ...options} of plan.steps) told.results.push(await STEPS[step](options));
  process.stdout.write(JSON.stringify(told));
} finally {
  await browser.close();
}
