// Data sets small enough to search in seconds.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

// Images of a single grey level per class.
export function writeImages(folder, name, count) {
  const big = (...values) => Buffer.concat(values.map((value) => { const word = Buffer.alloc(4); word.writeUInt32BE(value); return word; }));
  const classes = Array.from({ length: count }, (_, i) => i % 10);
  writeFileSync(join(folder, `${name}-images-idx3-ubyte`), Buffer.concat([big(0x803, count, 28, 28), ...classes.map((one) => Buffer.alloc(784, 25 * one))]));
  writeFileSync(join(folder, `${name}-labels-idx1-ubyte`), Buffer.concat([big(0x801, count), Buffer.from(classes)]));
}
