// node runtime_bench.mjs RIDGEWALK [ARCH@PIXELS...]: `ridgewalk bench` against ONNX Runtime, fp32, one
// image, one thread. They take turns, so that other load on the machine affects both alike. Needs
// onnxruntime-node in a node_modules beside it: the test onnx.install puts both in the build folder.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ort from 'onnxruntime-node';

const rounds = 9;
const seconds = 0.3; // of runs per round, for each of the two
const [program, ...words] = process.argv.slice(2);
const networks = words.length > 0 ? words
  : ['mnv4-conv-small@224', 'mnv4-conv-medium@256', 'mnv4-hybrid-medium@256'];

const median = values => values.sort((a, b) => a - b)[values.length >> 1];
const ridgewalk = (...args) => execFileSync(program, args, { encoding: 'utf8' });

async function runtimeMilliseconds(session, images) {
  const times = [];
  const end = performance.now() + 1e3 * seconds;
  while (times.length < 3 || performance.now() < end) {
    const start = performance.now();
    await session.run({ images });
    times.push(performance.now() - start);
  }
  return median(times);
}

function ourMilliseconds(architecture) {
  const args = ['--threads', 1, '--repeats', 1, '--seconds', seconds, '--json'];
  return JSON.parse(ridgewalk('bench', ...architecture, ...args)).latency_ms;
}

console.log(`${'network'.padEnd(26)} ridgewalk ms  ONNX Runtime ms  ratio  (min, max of the rounds)`);
const folder = mkdtempSync(join(tmpdir(), 'ridgewalk-bench-'));
try {
  for (const network of networks) {
    const [name, pixels] = network.split('@');
    const architecture = [name, '--resolution', pixels];
    const model = join(folder, 'model.onnx');
    ridgewalk('export', ...architecture, '--format', 'onnx', '--out', model, '--quiet');
    const session = await ort.InferenceSession.create(model,
      { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' });
    const values = Float32Array.from({ length: 3 * pixels * pixels }, Math.random);
    const images = new ort.Tensor('float32', values, [1, 3, Number(pixels), Number(pixels)]);
    await runtimeMilliseconds(session, images); // warms up
    const ours = [], theirs = [], ratios = [];
    for (let round = 0; round < rounds; ++round) {
      theirs.push(await runtimeMilliseconds(session, images));
      ours.push(ourMilliseconds(architecture));
      ratios.push(ours[round] / theirs[round]);
    }
    const [a, b] = [median(ours), median(theirs)];
    ratios.sort((x, y) => x - y);
    console.log(`${network.padEnd(26)} ${a.toFixed(3).padStart(12)}  ${b.toFixed(3).padStart(15)}  ` +
      `${(a / b).toFixed(2).padStart(5)}  (${ratios[0].toFixed(2)}, ${ratios.at(-1).toFixed(2)})`);
    await session.release();
  }
} finally {
  rmSync(folder, { recursive: true });
}
