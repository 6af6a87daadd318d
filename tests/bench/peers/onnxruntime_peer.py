"""ONNX Runtime as a peer: onnxruntime_peer.py infer NETWORK.onnx BATCH THREADS

Says "ready", then answers every line on standard input with the median of the milliseconds that a run took in half a
second of them.
"""
import statistics
import sys
import time

import numpy
import onnxruntime

_, path, batch, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
image = session.get_inputs()[0]
images = numpy.random.default_rng(0).standard_normal((int(batch), *image.shape[1:])).astype(numpy.float32)
for _ in range(3):
    session.run(None, {image.name: images})
print("ready", flush=True)
for _ in sys.stdin:
    milliseconds = []
    while sum(milliseconds) < 500 or len(milliseconds) < 3:
        start = time.perf_counter()
        session.run(None, {image.name: images})
        milliseconds.append(1e3 * (time.perf_counter() - start))
    print(statistics.median(milliseconds), flush=True)
