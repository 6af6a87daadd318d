"""ONNX Runtime's own static quantisation, with its defaults: onnxruntime_ptq.py NETWORK.onnx TRAINING OUT.onnx

NETWORK.onnx is of fp32; TRAINING holds the images that ranges are found with.
"""
import pathlib
import sys
import tempfile

import numpy
import onnx
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Images(CalibrationDataReader):
    def __init__(self, name, path):
        self.left = iter({name: image[None]} for image in numpy.load(path))

    def get_next(self):
        return next(self.left, None)


def main():
    network, training, out = sys.argv[1:]
    name = onnx.load(network).graph.input[0].name
    with tempfile.TemporaryDirectory() as folder:
        prepared = pathlib.Path(folder) / "prepared.onnx"
        quant_pre_process(network, prepared)
        quantize_static(prepared, out, Images(name, training))


main()
