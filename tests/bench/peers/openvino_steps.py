"""Where OpenVINO's integers differ from ONNX Runtime's: openvino_steps.py NETWORK.onnx [IMAGES]

NETWORK.onnx is a quantised network with batch 1. Both run it, on random images, up to each of its values in turn, until
the first that differs; of an add, also without the rounding of the convolution before it. Run by the Python of
build/peers/openvino, which tests/bench/peers/int8 makes.
"""
import sys

import numpy
import onnx
import onnxruntime
import openvino
from onnx.utils import Extractor


class Steps:
    def __init__(self, path, images):
        model = onnx.shape_inference.infer_shapes(onnx.load(path))
        self.extractor, self.graph = Extractor(model), model.graph
        self.makers = {output: node for node in self.graph.node for output in node.output}
        self.constants = {one.name: onnx.numpy_helper.to_array(one) for one in self.graph.initializer}
        shape = [size.dim_value for size in self.graph.input[0].type.tensor_type.shape.dim]
        self.images = numpy.random.default_rng(0).standard_normal((images, *shape)).astype(numpy.float32)

    def part(self, value):
        return self.extractor.extract_model([self.graph.input[0].name], [value]).SerializeToString()

    def of_onnx_runtime(self, value):
        session = onnxruntime.InferenceSession(self.part(value))
        return numpy.stack([session.run(None, {self.graph.input[0].name: image})[0] for image in self.images])

    def of_openvino(self, value):
        core = openvino.Core()
        given = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        request = core.compile_model(core.read_model(self.part(value)), "CPU", given).create_infer_request()
        return numpy.stack([request.infer([image])[0].copy() for image in self.images])

    def before(self, value):
        """What is quantised to give a value that is dequantised."""
        return self.makers[self.makers[value].input[0]].input[0]

    def unrounded(self, add, scale):
        """An add of what either convolution gives before it is rounded, as integers."""
        for value, other in (add.input, reversed(add.input)):
            if self.makers[self.before(value)].op_type == "Conv":
                total = self.of_onnx_runtime(self.before(value)) + self.of_onnx_runtime(other)
                yield numpy.clip(numpy.round(total / scale), -128, 127)

    def values(self):
        return [node for node in self.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in self.makers]


def main():
    steps = Steps(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8)
    for node in steps.values():
        value, scale = node.output[0], steps.constants[node.input[1]]
        own = numpy.round(steps.of_openvino(value) / scale)
        unequal = (own != numpy.round(steps.of_onnx_runtime(value) / scale)).mean()
        print(f"{value}: {100 * unequal:.2f} % of {own.size} integers differ", flush=True)
        if unequal == 0:
            continue
        maker = steps.makers[steps.before(value)]
        if maker.op_type == "Add":
            unequal = min(((own != total).mean() for total in steps.unrounded(maker, scale)), default=unequal)
            print(f"without the rounding of the convolution before the add: {100 * unequal:.2f} %")
        return


main()
