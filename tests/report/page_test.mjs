// The report in a browser, compared with sweep.json.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { open } from './browser.mjs';

const folder = mkdtempSync(join(tmpdir(), 'ridgewalk-report-'));
// MobileNetV1 and V2 swap places; the first has no published accuracy.
const networks = ['mobilenet-v1-150', 'mobilenet-v1', 'mobilenet-v2', 'mobilenet-v3-large-150', 'mnv4-conv-medium', 'mnv4-hybrid-medium'];
let sweep;
let page;

function run(name, ...words) {
  const out = join(folder, name);
  const result = spawnSync(process.env.RIDGEWALK_PROGRAM, ['sweep', ...words, '--quiet', '--out', out], { encoding: 'utf8' });
  assert.equal(result.status, 0, result.stderr);
  return { url: `file://${out}/report.html`, file: join(out, 'report.html'), sweep: JSON.parse(readFileSync(join(out, 'sweep.json'), 'utf8')) };
}

const show = async (ridge) => {
  await page.evaluate(`setRidge(${ridge})`);
  await page.settle();
};
const text = (selector) => page.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`);
const frontShown = async () => (await text('#front-now')).replace(/^.*: |\.$/g, '').split(', ').filter(Boolean).sort();
const frontOf = (ridge) => sweep.networks.filter((network) => network.front.some(([low, high]) => low < ridge && ridge < high))
  .map((network) => network.name).sort();

before(async () => {
  const report = run('report', ...networks);
  assert.ok(statSync(report.file).size < 4 * 2 ** 20);
  sweep = report.sweep;
  page = await open(report.url);
  await page.settle();
});

after(async () => {
  await page?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('the front changes at the swap points, on both sides of each', async () => {
  const ends = new Set(sweep.networks.flatMap((network) => network.front.flat()));
  const inner = [...ends].filter((end) => end > 0 && end < 500);
  assert.ok(inner.length > 0, 'some network is on the front for a part of the ridge points');
  for (const end of inner) {
    assert.ok(sweep.swaps.some((swap) => swap.ridge_point === end));
    await show(end * (1 - 1e-9));
    const below = await frontShown();
    assert.deepEqual(below, frontOf(end * (1 - 1e-9)));
    await show(end * (1 + 1e-9));
    const above = await frontShown();
    assert.deepEqual(above, frontOf(end * (1 + 1e-9)));
    assert.notDeepEqual(below, above);
  }
});

test('the front is that of sweep.json everywhere', async () => {
  for (const ridge of [0.001, 0.5, 5, 31.2, 60, 62, 100, 347.3, 499]) {
    await show(ridge);
    assert.deepEqual(await frontShown(), frontOf(ridge), `at ${ridge}`);
  }
});

test('every chart follows the slider', async () => {
  const state = () => page.evaluate(`JSON.stringify(charts.map((entry) => entry.chart.data.datasets.map((set) => set.data)))`);
  const pictures = () => page.evaluate(`charts.map((entry) => entry.canvas.toDataURL())`);
  await show(5);
  const [before, drawn] = [await state(), await pictures()];
  await show(200);
  const redrawn = await pictures();
  assert.notEqual(await state(), before);
  const captions = await page.evaluate(`charts.map((entry) => entry.canvas.getAttribute('aria-label'))`);
  const fixed = captions.filter((_, i) => drawn[i] === redrawn[i]);
  assert.ok(fixed.every((caption) => /^(Cost of each operation of a network, At [\d.]+|Memory while each operation of a network runs)$/.test(caption)), fixed.join('; '));
  assert.ok(captions.length - fixed.length >= 6);
});

test('latencies on the page are those of sweep.json', async () => {
  sweep.ridge_points.forEach((_, i) => assert.ok(i === 0 || sweep.networks[0].latency_macs[i] >= sweep.networks[0].latency_macs[i - 1]));
  const shown = await page.evaluate(`points.map((point) => swept.map((network) => latencyOf(network, point)))`);
  sweep.networks.forEach((network, n) => network.latency_macs.forEach((latency, i) =>
    assert.ok(Math.abs(shown[i][n] - latency) <= network.ops.length / 2048, `${network.name} at ${sweep.ridge_points[i]}`)));
});

test('prediction beside measurement: a table, a chart, the drift', async () => {
  const report = run('measured', 'compact-nano', 'compact-small', 'mobilenet-v3-large-050', '--measure', '--profile', 'epyc-zen5-1-thread');
  const measured = JSON.parse(readFileSync(join(report.file, '../measured.json'), 'utf8'));
  const own = await open(report.url);
  await own.settle();
  const rows = await own.evaluate(`[...document.querySelectorAll('#agreement tbody tr')].map((row) => row.cells[1].textContent)`);
  assert.deepEqual(rows, ['laws', 'drifted', 'roofline', 'macs', 'twice', 'twice_less_drift'].map((key) => {
    const { spearman, spearman_interval: interval } = measured.agreement[key];
    return spearman.toFixed(3) + (interval ? ` [${interval[0].toFixed(3)}, ${interval[1].toFixed(3)}]` : '');
  }));
  const section = await own.evaluate(`[...document.querySelectorAll('section')].find((one) => one.querySelector('#agreement')).textContent`);
  assert.ok(section.includes(`takes ${measured.drift.toFixed(3)} times as long`));
  for (const network of measured.networks) assert.ok(section.includes(network.predicted_ms.toPrecision(4)), network.name);
  const points = await own.evaluate(`charts.find((entry) => /Predicted against/.test(entry.canvas.getAttribute('aria-label'))).chart.data.datasets[0].data.length`);
  assert.equal(points, 3);
  assert.deepEqual(own.events, []);
  await own.close();
});

test('keys move the slider, and the slider says where it is', async () => {
  await page.evaluate(`document.querySelector('#ridge').focus()`);
  const value = () => page.evaluate('current');
  await page.press('Home');
  await page.settle();
  assert.equal(await value(), 0);
  await page.press('ArrowRight');
  await page.settle();
  assert.ok(await value() > 0);
  await page.press('End');
  await page.settle();
  assert.equal(await value(), 500);
  await page.press('ArrowLeft');
  await page.settle();
  assert.ok(await value() < 500);
  assert.match(await page.evaluate(`document.querySelector('#ridge').getAttribute('aria-valuetext')`), /^4\d\d(\.\d)? MACs per byte$/);
  await page.evaluate(`(() => { const device = document.querySelector('#device');
    device.value = [...device.options].find((option) => option.text.startsWith('pixel6-cpu')).value; device.onchange(); })()`);
  await page.settle();
  assert.equal(await value(), 31.2);
  assert.equal(await page.evaluate(`document.querySelector('#ridge-number').value`), '31.2');
});

test('devices are marked where their ridge points lie', async () => {
  const [ticks, expected] = await page.evaluate(`[document.querySelectorAll('.ticks i').length, marks.length]`);
  assert.ok(expected >= 4);
  assert.equal(ticks, expected);
});

// The axis is of int8; an fp32 device at 20.9 MACs per byte waits for four times the bytes.
test('a device of wider elements stands further right', async () => {
  const [place, option] = await page.evaluate(`[marks.find((mark) => mark.name === 'core-i7-12700h').ridge_point,
    [...document.querySelectorAll('#device option')].find((one) => one.text.startsWith('core-i7-12700h')).text]`);
  assert.equal(place, 83.6);
  assert.equal(option, 'core-i7-12700h: 83.6 (20.9 in fp32)');
});

test('a swap point in the table moves the slider there by keyboard', async () => {
  assert.equal(await page.evaluate(`document.querySelectorAll('#swaps tbody tr').length`), sweep.swaps.length);
  await page.evaluate(`document.querySelector('#swaps tbody button').focus()`);
  await page.press('Enter');
  await page.settle();
  assert.equal(await page.evaluate('current'), sweep.swaps[0].ridge_point);
});

test('the table sorts by every column, both ways', async () => {
  const columns = await page.evaluate(`document.querySelectorAll('#networks thead button').length`);
  assert.ok(columns >= 14);
  const column = (index) => page.evaluate(`(() => {
    const head = document.querySelectorAll('#networks thead button')[${index}];
    head.click();
    return { sort: head.parentElement.getAttribute('aria-sort'), names: [...document.querySelectorAll('#networks tbody th')].map((cell) => cell.textContent) };
  })()`);
  const titles = await page.evaluate(`[...document.querySelectorAll('#networks thead button')].map((button) => button.textContent)`);
  const macs = titles.indexOf('MACs');
  const byMacs = [...sweep.networks].sort((a, b) => a.macs - b.macs).map((network) => network.name);
  const up = await column(macs);
  assert.equal(up.sort, 'ascending');
  assert.deepEqual(up.names, byMacs);
  const down = await column(macs);
  assert.equal(down.sort, 'descending');
  assert.deepEqual(down.names, byMacs.reverse());
  for (let i = 0; i < columns; ++i) assert.equal((await column(i)).names.length, networks.length);
});

test('the page says which command made it', async () => {
  assert.match(await text('main'), new RegExp(`ridgewalk sweep ${networks.join(' ')} --quiet --out `));
});

test('another network can be chosen for the costs of its operations', async () => {
  const bars = () => page.evaluate(`charts.filter((entry) => entry.chart.config.type === 'bar').map((entry) => entry.chart.data.labels.length)`);
  const choose = (network) => page.evaluate(`(() => { const select = document.querySelector('.costs select'); select.value = ${network}; select.onchange(); })()`);
  await choose(5);
  assert.equal((await bars())[0], sweep.networks[5].ops.length);
  await choose(0);
  assert.equal((await bars())[0], sweep.networks[0].ops.length);
});

test('the memory along a network is that of sweep.json, with its peak and where it is', async () => {
  const [bars, caption] = await page.evaluate(`(() => {
    const entry = charts.find((one) => one.canvas.getAttribute('aria-label').startsWith('Memory while'));
    return [entry.chart.data.datasets[0].data, entry.canvas.closest('figure').querySelector('figcaption').textContent]; })()`);
  const ops = sweep.networks[0].ops;
  assert.deepEqual(bars, ops.map((op) => op.memory_bytes / 1024));
  const peak = sweep.networks[0].peak_memory_bytes;
  assert.ok(ops.every((op) => op.memory_bytes <= peak) && ops.some((op) => op.memory_bytes === peak));
  assert.match(caption, new RegExp(`at ${ops.find((op) => op.memory_bytes === peak).name}$`));
});

test('bars point up where computing bounds an operation, down where memory does', async () => {
  await show(31.2);
  const [bars, ops] = await page.evaluate(`(() => {
    const entry = charts.filter((one) => one.chart.config.type === 'bar').find((one) => one.canvas.getAttribute('aria-label').includes('Slider'));
    return [entry.chart.data.datasets[0].data, swept[chosen[0]].ops]; })()`);
  const total = ops.reduce((sum, op) => sum + Math.max(op.macs, 31.2 * op.bytes), 0);
  ops.forEach((op, i) => {
    const share = 100 * Math.max(op.macs, 31.2 * op.bytes) / total;
    assert.ok(Math.abs(bars[i] - (op.macs >= 31.2 * op.bytes ? share : -share)) < 1e-9, op.name);
  });
});

test('nothing went to the console, nothing was fetched', () => {
  assert.deepEqual(page.events, []);
});

for (const dark of [false, true]) {
  test(`a phone shows the page without sideways scrolling (${dark ? 'dark' : 'light'})`, async () => {
    const phone = await open(`file://${join(folder, 'report')}/report.html`, { width: 360, height: 740, phone: true, dark });
    await phone.settle();
    assert.equal(await phone.evaluate('document.documentElement.scrollWidth'), 360);
    assert.equal(await phone.evaluate(`getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'`), !dark);
    assert.deepEqual(phone.events, []);
    await phone.close();
  });
}

test('ridge points past 500, wider data, no accuracies', async () => {
  const report = run('wide', 'mobilenet-v1-150', 'custom', '--ridge', '0:1000', '--dtype', 'bf16', '--points', '21');
  assert.equal(report.sweep.ridge_points.length, 21);
  assert.deepEqual(report.sweep.range, [0, 1000]);
  const wide = await open(report.url);
  await wide.settle();
  await wide.evaluate('setRidge(1000)');
  await wide.settle();
  assert.equal(await wide.evaluate('current'), 1000);
  assert.deepEqual(wide.events, []);
  await wide.close();
});
