// The reports of rank, compare, front and quantize in a browser, and a report of many networks.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { open } from './browser.mjs';
import { writeImages } from './images.mjs';

const folder = mkdtempSync(join(tmpdir(), 'ridgewalk-evidence-'));
const kData = /(<script type="application\/json" id="data">)(.*?)(<\/script>)/s;
const data = {};
const pages = {};

function run(name, command, ...words) {
  const out = join(folder, name);
  const result = spawnSync(process.env.RIDGEWALK_PROGRAM, [command, ...words, '--out', out], { encoding: 'utf8' });
  assert.equal(result.status, 0, result.stderr);
  data[name] = JSON.parse(kData.exec(readFileSync(join(out, 'report.html'), 'utf8'))[2]);
}

// The page of `name` with other data.
function rewritten(name, as, other) {
  const file = join(folder, `${as}.html`);
  const text = JSON.stringify(other).replaceAll('<', '\\u003c');
  writeFileSync(file, readFileSync(join(folder, name, 'report.html'), 'utf8').replace(kData, (_, start, old, end) => start + text + end));
  return `file://${file}`;
}

before(async () => {
  writeImages(folder, 'train', 300);
  writeImages(folder, 't10k', 100);
  writeFileSync(join(folder, 'config.yaml'), `space: fashion-mnist
data: idx:${folder}
search_validation: 100
seed: 3
threads: 1
targets: {ridge: [0, 500], relative_to: compact-nano, factor: 1, reduce: worst}
reward: {form: absolute, beta: -0.2}
weights: {batch_size: 16, validation_batch_size: 50, optimizer: adamw, learning_rate: 0.002}
coarse: {steps: 2, samples_per_step: 2}
fine: {steps: 2, samples_per_step: 2, warm_start: true}
single: {steps: 4, samples_per_step: 2, evaluations: 8, tolerance: 0.1}
train: {epochs: 1, batch_size: 50, optimizer: adamw, learning_rate: 0.005}
report_ridge_points: [0, 31.2, 500]
`);
  run('ways', 'compare', '--config', join(folder, 'config.yaml'), '--seeds', '1,2', '--random-networks', '1');
  const search = join(folder, 'ways', 'random-search-1');
  run('ranking', 'rank', search, '--networks', '4', '--tolerance', '0.2');
  run('front', 'front', search, '--relative-to', 'compact-nano', '--evaluations', '24');
  writeFileSync(join(folder, 'homes.yaml'), `low: {ridge_point: 0, relative_to: compact-nano}
range: {ridge: [0, 500], relative_to: compact-nano, reduce: worst}
`);
  run('homes', 'compare', '--config', join(folder, 'config.yaml'), '--homes', join(folder, 'homes.yaml'), '--relative-to', 'compact-nano', '--ways', 'one-stage', '--seeds', '1,2');
  const weights = join(folder, 'weights.safetensors');
  const network = ['compact-nano', '--resolution', '28', '--channels', '1', '--classes', '10'];
  assert.equal(spawnSync(process.env.RIDGEWALK_PROGRAM, ['export', ...network, '--format', 'safetensors', '--out', weights]).status, 0);
  run('quantized', 'quantize', ...network, '--weights', weights, '--data', `idx:${folder}`, '--images', '50', '--sensitivity', '50', '--threads', '1', '--quiet');
  for (const name of ['ways', 'ranking', 'front', 'homes', 'quantized']) {
    pages[name] = await open(`file://${folder}/${name}/report.html`);
    await pages[name].settle();
  }
});

after(async () => {
  for (const page of Object.values(pages)) await page.close();
  rmSync(folder, { recursive: true, force: true });
});

const cells = (page, table) => page.evaluate(`[...document.querySelectorAll('#${table} tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))`);
const sets = (page, caption) => page.evaluate(`charts.find((entry) => entry.canvas.getAttribute('aria-label').startsWith(${JSON.stringify(caption)})).chart.data.datasets
  .map(({ type, label, named, data }) => ({ type, label, named: named === true, data: data.map(({ x, y }) => ({ x, y })) }))`);
// With its interval, where there is one: of few networks or equal values there is none.
const within = ({ value, low, high }, text) => text(value) + (typeof low === 'number' ? ` [${text(low)}, ${text(high)}]` : '');
const plusMinus = ({ mean, high }, scale, digits) => (scale * mean).toFixed(digits) + (typeof high === 'number' ? ` ± ${(scale * (high - mean)).toFixed(digits)}` : '');
const two = (value) => (typeof value === 'number' ? value.toFixed(2).replace('-', '−') : '–');

test('how far the supernet can be trusted', async () => {
  const { ranking, networks, epochs } = data.ranking.ranking;
  const section = await pages.ranking.evaluate(`document.querySelector('#trust').textContent`);
  const tau = ranking.pairs[0].kendall_tau_b;
  assert.ok(section.includes(`Kendall's tau-b of ${within(tau, two)};`), section);
  const points = (value) => (100 * value).toFixed(2);
  assert.ok(section.includes(`lacks ${within(ranking.regret, points)} points`), section);
  assert.ok(section.includes(`a random pick ${points(ranking.regret_of_a_random_pick)}`), section);
  for (const word of [`${networks.length} networks`, `${epochs} epoch `, 'single stage', 'fashion-mnist-single']) assert.ok(section.includes(word), word);
  assert.deepEqual(await cells(pages.ranking, 'pairs'), ranking.pairs.map((pair) => [pair.shared, pair.alone,
    ...['kendall_tau_b', 'spearman'].map((figure) => within(pair[figure], two))]));
  const rows = await cells(pages.ranking, 'ranked');
  assert.deepEqual(rows.map((row) => [row[0], row.at(-1)]), networks.map((network) => [network.network, `${points(network.scratch_test_top1)}\u00a0%`]));

  const drawn = await sets(pages.ranking, 'Accuracy from scratch');
  assert.deepEqual(drawn.flatMap((set) => set.data).sort((a, b) => a.x - b.x || a.y - b.y),
    networks.map((one) => ({ x: 100 * one.shared_search_validation_top1, y: 100 * one.scratch_test_top1 })).sort((a, b) => a.x - b.x || a.y - b.y));
  const [first, best] = [drawn.find((set) => set.label.includes('put first')), drawn.find((set) => set.label.includes('the best'))];
  assert.equal(first.data[0].x, 100 * Math.max(...networks.map((one) => one.shared_search_validation_top1)));
  assert.equal(best.data[0].y, 100 * Math.max(...networks.map((one) => one.scratch_test_top1)));
  assert.ok(Math.abs(best.data[0].y - first.data[0].y - 100 * ranking.regret.value) < 1e-9);
});

test('ways to a network', async () => {
  const { summary, entries } = data.ways.comparison;
  assert.equal(summary.length, 5);
  const rows = await cells(pages.ways, 'ways');
  summary.forEach((row, i) => {
    const tests = entries.filter((entry) => entry.way === row.way).map((entry) => entry.scratch_test_top1);
    const mean = tests.reduce((sum, value) => sum + value, 0) / tests.length;
    assert.deepEqual([rows[i][0], rows[i][1], rows[i][7]], [row.way, String(tests.length), plusMinus({ ...row.scratch_test_top1, mean }, 100, 2)]);
    const over = row.over_random ? 100 * row.over_random.points : undefined;
    assert.equal(rows[i][8], over > 0 ? `+${two(over)}` : two(over));
  });
  assert.equal(rows.at(-1)[6], '–');  // random networks have no shared weights
  assert.deepEqual((await cells(pages.ways, 'entries')).map((row) => row.slice(0, 3)), entries.map((entry) => [entry.way, String(entry.seed), entry.network]));

  const drawn = await sets(pages.ways, 'Test accuracy of the networks');
  summary.forEach(({ way, scratch_test_top1: { mean, low } }, row) => {
    const dots = drawn.find((set) => set.type === 'scatter' && set.label === way);
    assert.deepEqual(dots.data.map(({ x }) => x), entries.filter((entry) => entry.way === way).map((entry) => 100 * entry.scratch_test_top1));
    assert.ok(dots.data.every(({ y }) => Math.abs(y - row) < 0.5));
    assert.equal(new Set(dots.data.map(({ y }) => y)).size, 2);
    assert.ok(drawn.some((set) => set.type === 'line' && set.data.every(({ x, y }) => x === 100 * mean && Math.abs(y - row) < 0.5)));
    if (typeof low === 'number') assert.ok(drawn.some((set) => set.type === 'line' && set.data[0].x === 100 * low && set.data[0].y === row));
  });
});

test('networks of several targets, priced at the ridge points of all', async () => {
  const { homes } = data.homes;
  assert.deepEqual(homes.map((home) => home.home), ['low', 'range']);
  const rows = await cells(pages.homes, 'homes');
  assert.deepEqual(rows, homes.map((home) => [home.home, 'one-stage', '2', plusMinus(home.test_top1, 100, 2), ...home.relative_latency.map((one) => plusMinus(one, 1, 3)), plusMinus(home.worst, 1, 3)]));
  for (const { relative_latency, worst } of homes) {
    for (const { mean } of relative_latency) assert.ok(mean <= worst.mean + 1e-9);
  }
});

test('fronts of the supernet: the set is chosen by keyboard, latencies follow the slider', async () => {
  const page = pages.front;
  const { fronts } = data.front.fronts;
  assert.equal(await page.evaluate(`document.querySelector('label[for=front-set-choice]').textContent`), 'Set');
  await page.evaluate(`document.querySelector('#front-set-choice').focus()`);
  for (let i = 0; i < fronts.length; ++i) {
    if (i > 0) await page.press('ArrowDown');
    await page.settle();
    assert.equal(await page.evaluate(`document.querySelector('#front-set-choice').selectedOptions[0].text.split(':')[0]`), fronts[i].target);
    for (const ridge of [0, 120]) {
      await page.evaluate(`setRidge(${ridge})`);
      await page.settle();
      const latency = fronts[i].networks.map(({ name }) => data.front.sweep.networks.find((network) => network.name === name).ops
        .reduce((sum, op) => sum + Math.max(op.macs, ridge * op.bytes), 0));
      const expected = fronts[i].networks.map((network, n) => [network.name, `${(100 * network.accuracy).toFixed(2)}\u00a0%`, network.of_target.toFixed(3),
        (latency[n] / Math.min(...latency)).toFixed(3)]);
      assert.deepEqual((await cells(page, 'front-set')).map((row) => [row[0], row[1], row[2], row[6]]), expected);
    }
    const drawn = await sets(page, 'Accuracy against relative latency');
    assert.deepEqual(drawn.filter((set) => set.named).map((set) => set.label).sort(), fronts[i].networks.map((network) => network.name).sort());
    assert.equal(drawn.filter((set) => set.type === 'scatter').length, new Set(fronts.flatMap((front) => front.networks.map((network) => network.name))).size);
    const joined = drawn.find((set) => set.type === 'line').data;
    joined.slice(1).forEach((point, at) => assert.ok(point.x > joined[at].x && point.y > joined[at].y));
  }
});

test('a network in fp32 and in int8', async () => {
  const page = pages.quantized;
  const { fp32, int8, kept_in_fp32: kept, ops, sensitivities, range_trials: tried, fp32_results: floats } = data.quantized.quantization;
  const signed = (value) => (value > 0 ? '+' : '') + two(value);
  const row = (label, one) => [label, (100 * one.top1).toFixed(2), signed(100 * (one.top1 - fp32.top1)), (100 * one.top5).toFixed(2), one.loss.toFixed(4), `${+(one.bytes / 1024).toPrecision(3)}\u00a0KiB`];
  assert.deepEqual(kept.map((some) => some.ops.length), [1, 2, 4, 8]);
  assert.deepEqual(await cells(page, 'quantization'), [row('fp32', fp32), row('int8 (ptq)', int8),
    ...kept.map((some) => row(`int8, ${some.ops.length} operation${some.ops.length === 1 ? '' : 's'} in fp32`, some))]);
  assert.equal(await page.evaluate('[1536, 5767168].map(bytesText).join()'), '1.5\u00a0KiB,5.5\u00a0MiB');
  assert.equal(tried.length, 4);
  assert.deepEqual(await cells(page, 'range-trials'), tried.map((one) => [one.rule, one.class_divergence.toFixed(4)]));
  assert.deepEqual(await cells(page, 'sensitivities'), sensitivities.slice(0, 12).map((one) => [one.name, signed(one.gain_db)]));

  const noisy = ops.filter((op) => typeof op.signal_to_noise_db === 'number');
  assert.ok(noisy.length > 10);
  const drawn = await page.evaluate(`charts.map(({ chart: { data } }) => ({ labels: data.labels, values: data.datasets[0].data }))`);
  assert.deepEqual(drawn, [{ labels: noisy.map((op) => op.name), values: noisy.map((op) => op.signal_to_noise_db) }]);
  assert.ok(floats.includes('classifier'));
  assert.ok((await page.evaluate(`document.querySelector('main').textContent`)).includes(`In fp32: ${floats.join(', ')}.`));
  assert.deepEqual(await cells(page, 'rules'), ops.map((op) => [op.name, op.kind, op.value_rule ?? op.value, op.weight_rule ?? '–']));
});

test('a report of 48 networks names those on the front, and draws the curves chosen', async () => {
  const many = structuredClone(data.ways);
  const own = many.networks.length;
  many.networks = Array.from({ length: 48 }, (_, i) => ({ ...many.networks[i % own], name: `network ${i}` }));
  many.sweep.networks = Array.from({ length: 48 }, (_, i) => {
    const network = structuredClone(many.sweep.networks[i % own]);
    const factor = 1 + (i * 37 % 48) / 50;
    network.ops.forEach((op) => { op.macs *= factor; op.bytes *= factor; });
    return { ...network, name: `network ${i}`, macs: factor * network.macs, latency_macs: network.latency_macs.map((latency) => factor * latency),
      accuracy: { ...network.accuracy, top1: 0.5 + (i * 29 % 48) / 100 } };
  });
  many.reference = 'network 0';
  many.comparison = undefined;
  const page = await open(rewritten('ways', 'many', many));
  await page.settle();
  const named = (await sets(page, 'Latency against accuracy')).filter((set) => set.named).map((set) => set.label).sort();
  assert.deepEqual(named, (await page.evaluate(`frontAt(current).filter((one) => one.onFront).map((one) => one.network.name)`)).sort());
  assert.ok(named.length < 48);
  const curves = async () => (await sets(page, 'Latency over')).filter((set) => set.label !== '').map((set) => set.label);
  const before = await curves();
  assert.ok(before.includes('network 0') && before.length <= 7, before.join());
  assert.equal(await page.evaluate(`charts.find((entry) => entry.canvas.getAttribute('aria-label') === 'Latency over the ridge point').chart.legend.legendItems.length`), before.length);
  const chosen = await page.evaluate(`(() => {
    const boxes = [...document.querySelectorAll('.picks input')];
    const free = boxes.findLastIndex((box) => !box.checked);
    boxes[free].click();
    return free;
  })()`);
  assert.deepEqual([...await curves()].sort(), [...before, `network ${chosen}`].sort());
  assert.match(await page.evaluate(`document.querySelector('.picks').previousSibling.textContent`), new RegExp(`${before.length + 1} of 48`));
  assert.equal(await page.evaluate(`document.querySelectorAll('#networks tbody tr').length`), 48);
  assert.deepEqual(page.events, []);
  await page.close();
});

// Renders a section over and over, each time with one part of its data, at any depth, replaced.
const hostile = `(async (key, section) => {
  const evil = [0, -1, 1e308, '', '<img src=x onerror="console.error(1)">', [], [null], ['x'], {}, { toString: 1 }];
  const whole = JSON.stringify(data[key]);
  const paths = [[]];
  const walk = (value, path) => value && typeof value === 'object' && Object.entries(value).slice(0, 14).forEach(([name, inner], i) => {
    if (Array.isArray(value) && i > 0) return;
    paths.push([...path, name]);
    walk(inner, [...path, name]);
  });
  walk(JSON.parse(whole), []);
  const failures = [];
  let tried = 0;
  for (const path of paths) {
    for (const value of [null, undefined, evil[tried % evil.length], evil[(tried + 5) % evil.length]]) {
      ++tried;
      const holder = { root: JSON.parse(whole) };
      const way = ['root', ...path];
      way.slice(0, -1).reduce((at, name) => at[name], holder)[way.at(-1)] = value;
      data[key] = holder.root;
      const [drawn, following] = [charts.length, followers.length];
      try {
        const place = document.createElement('section');
        const children = section();
        if (children) place.append(...children.flat().filter((child) => child !== null));
        document.body.append(place);
        charts.slice(drawn).forEach(draw);
        followers.slice(following).forEach((follow) => follow());
        if (place.querySelector('img')) failures.push('an element from the data at ' + path.join('.'));
        place.remove();
      } catch (error) {
        failures.push(path.join('.') + ' = ' + JSON.stringify(value) + ': ' + error.stack.slice(0, 300));
      }
      charts.splice(drawn).forEach(({ chart }) => chart && chart.destroy());
      followers.splice(following);
    }
  }
  data[key] = JSON.parse(whole);
  return { tried, failures: failures.slice(0, 5) };
})`;

for (const [name, key, section] of [['ranking', 'ranking', 'rankingSection'], ['ways', 'comparison', 'comparisonSection'], ['front', 'fronts', 'frontsSection'], ['homes', 'homes', 'homesSection'], ['quantized', 'quantization', 'quantizationSection']]) {
  test(`hostile and partial data: ${name}`, async () => {
    const page = await open(`file://${folder}/${name}/report.html`);
    const { tried, failures } = await page.evaluate(`${hostile}('${key}', ${section})`);
    const { events } = page;
    await page.close();  // before any assertion: an open browser keeps the test from ending
    assert.ok(tried > 40, `only ${tried} places`);
    assert.deepEqual(failures, []);
    assert.deepEqual(events, []);
  });

  test(`a page with nothing but its data: ${name}`, async () => {
    const page = await open(rewritten(name, `bare-${name}`, { [key]: data[name][key] }));
    await page.settle();
    assert.equal(await page.evaluate(`document.querySelectorAll('h2').length`), key === 'quantization' ? 1 : 2);  // the other one: the glossary
    assert.deepEqual(page.events, []);
    await page.close();
  });

  for (const dark of [false, true]) {
    test(`a phone, ${dark ? 'dark' : 'light'}: ${name}`, async () => {
      const phone = await open(`file://${folder}/${name}/report.html`, { width: 360, height: 740, phone: true, dark });
      await phone.settle();
      await phone.evaluate(`document.querySelectorAll('details').forEach((one) => { one.open = true; })`);
      await phone.settle();
      assert.equal(await phone.evaluate('document.documentElement.scrollWidth'), 360);
      // The contrast of every text with the page's background is at least 4.5 to 1.
      const faint = await phone.evaluate(`(() => {
        const light = (color) => { const part = color.match(/[\\d.]+/g).slice(0, 3).map((one) => one / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
          return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2]; };
        const ground = light(getComputedStyle(document.body).backgroundColor);
        const section = [...document.querySelectorAll('section')].find((one) => one.querySelector('table.figures'));
        return [...section.querySelectorAll('*')].filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())).filter((one) => {
          const text = light(getComputedStyle(one).color);
          return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05) < 4.5; }).map((one) => one.textContent); })()`);
      assert.deepEqual(faint, []);
      assert.ok(await phone.evaluate(`[...document.querySelectorAll('table.figures')].every(({ parentElement: scroll }) =>
        scroll.tabIndex === 0 && scroll.getAttribute('role') === 'region' && scroll.getAttribute('aria-label'))`));
      assert.deepEqual(phone.events, []);
      await phone.close();
    });
  }
}

test('nothing went to the console, nothing was fetched', () => {
  for (const [name, page] of Object.entries(pages)) assert.deepEqual(page.events, [], name);
});
