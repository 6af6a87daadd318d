"""ExecuTorch with XNNPACK as a peer: executorch_peer.py infer NETWORK.onnx BATCH THREADS

or executorch_peer.py classify NETWORK.onnx IMAGES CLASSES, which writes the likeliest class of each image. The file is
converted first; what XNNPACK does not take is said on standard error.
"""
import sys

import numpy
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.extension.pybindings import portable_lib
from executorch.kernels import quantized  # registers what XNNPACK leaves # noqa: F401
from onnx_module import OnnxModule

from turns import answer


def converted(path, batch):
    """The loaded program, and images of its input's shape."""
    module = OnnxModule(path).eval()
    images = torch.randn(batch, *module.shape)
    exported = torch.export.export(module, (images,))
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    left = [str(node.target).split(">")[0].split()[-1] for node in edge.exported_program().graph.nodes
            if node.op == "call_function" and "executorch_call_delegate" not in str(node.target)
            and "getitem" not in str(node.target)]
    if left:
        names = ", ".join(f"{left.count(name)} {name}" for name in sorted(set(left)))
        print(f"not taken by XNNPACK: {names}", file=sys.stderr)
    buffer = edge.to_executorch().buffer  # which the program reads
    return portable_lib._load_for_executorch_from_buffer(buffer), buffer, images


def infer(path, batch, threads):
    portable_lib._unsafe_reset_threadpool(int(threads))
    program, _buffer, images = converted(path, int(batch))
    answer(lambda: program.forward((images,)))


def classify(path, images, classes):
    program, _buffer, _ = converted(path, 1)
    each = torch.from_numpy(numpy.load(images)).split(1)
    logits = [program.forward((image,))[0].numpy().copy() for image in each]
    numpy.save(classes, numpy.concatenate(logits).argmax(1))


def main():
    what, *arguments = sys.argv[1:]
    {"infer": infer, "classify": classify}[what](*arguments)


main()
