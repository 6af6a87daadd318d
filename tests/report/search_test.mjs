// The report of a search in a browser.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { open } from './browser.mjs';
import { writeImages } from './images.mjs';

const folder = mkdtempSync(join(tmpdir(), 'ridgewalk-search-'));
let page;

before(async () => {
  writeImages(folder, 'train', 300);
  writeImages(folder, 't10k', 100);
  const stage = '{steps: 6, samples_per_step: 2, controller_learning_rate: 0.1, candidates: 10}';
  writeFileSync(join(folder, 'config.yaml'), `space: fashion-mnist
data: idx:${folder}
search_validation: 100
seed: 3
threads: 2
targets:
  - {profile: pixel6-cpu, relative_to: mnv4-conv-small, factor: 0.15}
reward: {form: absolute, beta: -2}
weights: {batch_size: 16, validation_batch_size: 50, optimizer: adamw, learning_rate: 0.002}
coarse: ${stage}
fine: ${stage}
hybrid: ${stage}
train: {epochs: 1, batch_size: 50, optimizer: adamw, learning_rate: 0.005}
report_ridge_points: [0, 31.2, 500]
`);
  const result = spawnSync(process.env.RIDGEWALK_PROGRAM, ['search', 'all', '--config', join(folder, 'config.yaml'), '--out', join(folder, 'run')], { encoding: 'utf8' });
  assert.equal(result.status, 0, result.stderr);
  page = await open(`file://${folder}/run/report.html`);
  await page.settle();
});

after(async () => {
  await page?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('shows the stages, what the controller believes, the networks and the front', async () => {
  const headings = await page.evaluate(`[...document.querySelectorAll('h2')].map((heading) => heading.textContent)`);
  for (const heading of ['Networks', 'Latency against accuracy', 'Latency over the ridge point', 'Where the networks pay', 'The roofline',
    'Search: coarse', 'Search: fine', 'Search: hybrid', 'What the networks look like', 'Wall time', 'Terms']) {
    assert.ok(headings.includes(heading), heading);
  }
  assert.equal(headings[0], 'Networks');
  assert.ok(await page.evaluate(`document.querySelectorAll('.option.chosen').length`) > 10);
  assert.equal(await page.evaluate(`charts.filter((entry) => /Reward of the sampled/.test(entry.canvas.getAttribute('aria-label'))).length`), 3);
  assert.equal(await page.evaluate(`document.querySelectorAll('#networks tbody tr').length`), 4);
  assert.equal(await page.evaluate('rated.length'), 4);
});

test('its charts follow the slider', async () => {
  const front = () => page.evaluate(`document.querySelector('#front-now').textContent`);
  await page.evaluate('setRidge(500)');
  await page.settle();
  assert.match(await front(), /at ridge point 500: /);
});

test('is whole: nothing in the console, nothing fetched, no sideways scrolling', async () => {
  const phone = await open(`file://${folder}/run/report.html`, { width: 360, height: 740, phone: true });
  await phone.settle();
  assert.equal(await phone.evaluate('document.documentElement.scrollWidth'), 360);
  assert.deepEqual([...page.events, ...phone.events], []);
  await phone.close();
});
