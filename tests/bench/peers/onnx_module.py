"""An ONNX file that ridgewalk wrote, of fp32 or with QuantizeLinear and DequantizeLinear, as a PyTorch module."""
import functools

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.ao.quantization.fx import _decomposed  # registers torch.ops.quantized_decomposed # noqa: F401
from torch.nn import functional

QUANTIZED = torch.ops.quantized_decomposed


def attributes(node):
    return {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}


class OnnxModule(nn.Module):
    """Integers of values are s8, which is what XNNPACK and PyTorch's own quantisers use: u8 is shifted by 128."""

    def __init__(self, path):
        super().__init__()
        graph = onnx.load(path).graph
        self.input, self.output = graph.input[0].name, graph.output[0].name
        self.shape = [size.dim_value for size in graph.input[0].type.tensor_type.shape.dim][1:]
        self.constants = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
        self.nodes = []
        for node in graph.node:
            known = [self.constants.get(name) for name in node.input]
            if node.op_type == "DequantizeLinear" and known[0] is not None:
                self.add_weight(node, *known)
            else:
                self.nodes.append((node.op_type, list(node.input), node.output[0], attributes(node)))
        self.layers = nn.ModuleDict()
        for kind, inputs, output, given in self.nodes:
            layer = self.layer(kind, inputs, given)
            if layer is not None:
                self.layers[output.replace(".", "/")] = layer
        self.weights = nn.ParameterDict()
        for name, tensor in self.constants.items():
            self.weights[name.replace(".", "/")] = nn.Parameter(tensor, requires_grad=False)

    def layer(self, kind, inputs, given):
        """Of weights that are fp32: PyTorch's own quantisers look for modules."""
        if kind == "Relu":
            return nn.ReLU()
        if kind not in ("Conv", "Gemm") or inputs[1] not in self.constants:
            return None
        weight = self.constants[inputs[1]]
        bias = self.constants[inputs[2]] if len(inputs) > 2 else None
        if kind == "Gemm":
            layer = nn.Linear(weight.shape[1], weight.shape[0])
        else:
            layer = nn.Conv2d(weight.shape[1] * given["group"], weight.shape[0], weight.shape[2:], given["strides"],
                              given["pads"][:2], 1, given["group"])
        layer.weight, layer.bias = nn.Parameter(weight, False), None if bias is None else nn.Parameter(bias, False)
        return layer

    def add_weight(self, node, integers, scale, zero_point):
        """Weights stay int8, for the runtime to multiply; biases become what they stand for."""
        if integers.dtype == torch.int8 and scale.dim() == 1:
            self.nodes.append(("Weight", list(node.input), node.output[0], {}))
            self.constants[node.input[2]] = zero_point.to(torch.int64)
            return
        column = scale if scale.dim() == 0 else scale.view(-1, *[1] * (integers.dim() - 1))
        self.constants[node.output[0]] = (integers - zero_point.to(integers.dtype)) * column

    def value(self, name, values):
        if name not in values:
            return self.weights[name.replace(".", "/")]
        value = values[name]
        return value() if callable(value) else value

    def forward(self, images):
        values = {self.input: images}
        for kind, inputs, output, given in self.nodes:
            name = output.replace(".", "/")
            if name in self.layers:
                values[output] = self.layers[name](self.value(inputs[0], values))
            elif kind in ("QuantizeLinear", "DequantizeLinear"):
                step = functools.partial(getattr(self, kind), self.value(inputs[0], values), *self.scale(*inputs[1:]))
                # Each reader has a dequantisation of its own, as PyTorch's quantisers leave it.
                values[output] = step if kind == "DequantizeLinear" else step()
            else:
                values[output] = getattr(self, kind)(*(self.value(name, values) for name in inputs), **given)
        return self.value(self.output, values)

    def scale(self, scale, zero_point):
        shift = 128 if self.constants[zero_point].dtype == torch.uint8 else 0
        return float(self.constants[scale]), int(self.constants[zero_point]) - shift, -128, 127, torch.int8

    def QuantizeLinear(self, x, *scale):
        return QUANTIZED.quantize_per_tensor.default(x, *scale)

    def DequantizeLinear(self, x, *scale):
        return QUANTIZED.dequantize_per_tensor.default(x, *scale)

    def Weight(self, integers, scale, zero_point, **_):
        return QUANTIZED.dequantize_per_channel.default(integers, scale, zero_point, 0, -127, 127, torch.int8)

    def Conv(self, x, weight, bias=None, *, strides, pads, group, **_):
        return functional.conv2d(x, weight, bias, strides, pads[:2], 1, group)

    def Gemm(self, x, weight, bias, **_):
        return functional.linear(x, weight, bias)

    def Relu(self, x):
        return functional.relu(x)

    def Clip(self, x, low, high):
        return functional.hardtanh(x, float(low), float(high))

    def HardSwish(self, x):
        return functional.hardswish(x)

    def HardSigmoid(self, x, **_):
        return functional.hardsigmoid(x)

    def Sigmoid(self, x):
        return x.sigmoid()

    def Erf(self, x):
        return torch.erf(x)

    def Softmax(self, x, axis):
        return x.softmax(axis)

    def Add(self, x, y):
        return x + y

    def Mul(self, x, y):
        return x * y

    def MatMul(self, x, y):
        return x @ y

    def GlobalAveragePool(self, x):
        return functional.adaptive_avg_pool2d(x, 1)

    def Flatten(self, x):
        return x.flatten(1)

    def Reshape(self, x, shape):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(shape.tolist())]
        return x.reshape(sizes)

    def Transpose(self, x, perm):
        return x.permute(perm)
