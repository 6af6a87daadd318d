"""OpenVINO as a peer: openvino_peer.py infer NETWORK.onnx BATCH THREADS

or openvino_peer.py classify NETWORK.onnx IMAGES CLASSES, which writes the likeliest class of each image.
"""
import sys

import numpy
import openvino

from turns import answer


def compiled(path, threads, batch=1):
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([batch, *[size.get_length() for size in model.input(0).partial_shape][1:]])
    return core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                                             "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})


def infer(path, batch, threads):
    request = compiled(path, int(threads), int(batch)).create_infer_request()
    shape = list(request.get_input_tensor().shape)
    images = numpy.random.default_rng(0).standard_normal(shape).astype(numpy.float32)
    answer(lambda: request.infer([images]))


def classify(path, images, classes):
    request = compiled(path, 1).create_infer_request()
    logits = [request.infer([image[None]])[0] for image in numpy.load(images)]
    numpy.save(classes, numpy.concatenate(logits).argmax(1))


def main():
    what, *arguments = sys.argv[1:]
    {"infer": infer, "classify": classify}[what](*arguments)


main()
