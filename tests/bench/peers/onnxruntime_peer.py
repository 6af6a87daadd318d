"""ONNX Runtime as a peer: onnxruntime_peer.py infer NETWORK.onnx BATCH THREADS

or onnxruntime_peer.py classify NETWORK.onnx IMAGES CLASSES, which writes the likeliest class of each image.
"""
import sys

import numpy
import onnxruntime

from turns import answer


def session_of(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def infer(path, batch, threads):
    session = session_of(path, int(threads))
    image = session.get_inputs()[0]
    images = numpy.random.default_rng(0).standard_normal((int(batch), *image.shape[1:])).astype(numpy.float32)
    answer(lambda: session.run(None, {image.name: images}))


def classify(path, images, classes):
    session = session_of(path, 1)
    name = session.get_inputs()[0].name
    logits = [session.run(None, {name: image[None]})[0] for image in numpy.load(images)]
    numpy.save(classes, numpy.concatenate(logits).argmax(1))


def main():
    what, *arguments = sys.argv[1:]
    {"infer": infer, "classify": classify}[what](*arguments)


main()
