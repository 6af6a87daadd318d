// node run.mjs MODEL.onnx INPUT OUTPUT N C H W: runs float32 images [N, C, H, W] through ONNX Runtime
// and writes the logits.
import { readFileSync, writeFileSync } from 'node:fs';
import ort from 'onnxruntime-node';

const [model, input, output, ...sizes] = process.argv.slice(2);
const bytes = readFileSync(input);
const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 2 });
const images = new ort.Tensor('float32', values, sizes.map(Number));
const { logits } = await session.run({ images });
writeFileSync(output, Buffer.from(logits.data.buffer, logits.data.byteOffset, logits.data.byteLength));
