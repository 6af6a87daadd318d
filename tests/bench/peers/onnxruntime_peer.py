"""ONNX Runtime as a peer: onnxruntime_peer.py infer NETWORK.onnx BATCH THREADS

or onnxruntime_peer.py classify NETWORK.onnx IMAGES CLASSES, which writes the likeliest class of each image, or
onnxruntime_peer.py top1 NETWORK.onnx IMAGES LABELS, which prints the share of images
whose likeliest class is their label.
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


def likeliest(path, images):
    session = session_of(path, 1)
    name = session.get_inputs()[0].name
    logits = [session.run(None, {name: image[None]})[0] for image in numpy.load(images, mmap_mode="r")]
    return numpy.concatenate(logits).argmax(1)


def classify(path, images, classes):
    numpy.save(classes, likeliest(path, images))


def top1(path, images, labels):
    print((likeliest(path, images) == numpy.load(labels)).mean())


def main():
    what, *arguments = sys.argv[1:]
    {"infer": infer, "classify": classify, "top1": top1}[what](*arguments)


main()
