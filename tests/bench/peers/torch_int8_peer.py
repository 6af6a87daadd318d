"""PyTorch's int8 on x86 as a peer: torch_int8_peer.py infer NETWORK.onnx TRAINING BATCH THREADS

or torch_int8_peer.py classify NETWORK.onnx TRAINING IMAGES CLASSES, which writes the likeliest class of each image.
NETWORK.onnx is of fp32: torchao's X86InductorQuantizer quantises it, with the images in TRAINING, and Inductor compiles
what that gives.
"""
import sys

import numpy
import torch
import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
from onnx_module import OnnxModule
from torch._inductor import config
from torchao.quantization.pt2e import move_exported_model_to_eval
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from turns import answer

config.freezing = True


def quantized(path, training, batch):
    module = OnnxModule(path).eval()
    images = torch.from_numpy(numpy.load(training))
    example = images[:1].expand(batch, -1, -1, -1).contiguous()
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(module, (example,)).module(), quantizer)
    for image in images.split(batch):
        if len(image) == batch:
            prepared(image)
    model = convert_pt2e(prepared)
    move_exported_model_to_eval(model)
    return torch.compile(model), example


def infer(path, training, batch, threads):
    torch.set_num_threads(int(threads))
    with torch.no_grad():
        model, images = quantized(path, training, int(batch))
        answer(lambda: model(images))


def classify(path, training, images, classes):
    with torch.no_grad():
        model, _ = quantized(path, training, 1)
        logits = [model(torch.from_numpy(image[None])).numpy() for image in numpy.load(images)]
    numpy.save(classes, numpy.concatenate(logits).argmax(1))


def main():
    what, *arguments = sys.argv[1:]
    {"infer": infer, "classify": classify}[what](*arguments)


main()
