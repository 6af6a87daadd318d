// node run.mjs MODEL.onnx INPUT OUTPUT LEVEL N C H W: runs float32 images [N, C, H, W] through ONNX Runtime, its
// graph optimisations at a level (disabled, basic, extended, all), and writes what the model gives, one output after
// the other.
import { readFileSync, writeFileSync } from 'node:fs';
import ort from 'onnxruntime-node';

const [model, input, output, graphOptimizationLevel, ...sizes] = process.argv.slice(2);
const bytes = readFileSync(input);
const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const session = await ort.InferenceSession.create(model, {
  graphOptimizationLevel,
  intraOpNumThreads: 2,
  extra: { session: { x64quantprecision: '1' } }, // no saturation between where the CPU has no VNNI
});
const images = new ort.Tensor('float32', values, sizes.map(Number));
const results = await session.run({ images });
const outputs = session.outputNames.map((name) => results[name].data);
writeFileSync(output, Buffer.concat(outputs.map((data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))));
