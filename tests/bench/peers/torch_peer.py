"""PyTorch eager as a peer: torch_peer.py train|infer NETWORK.json BATCH PRECISION THREADS

NETWORK.json is what `ridgewalk describe --json` prints. As a user would write it: modules, channels last, autocast for
bf16 in training, a network of bf16 weights in inference.
"""
import json
import sys

import torch
from torch import nn
from torch.nn import functional

from turns import answer


class Network(nn.Module):
    def __init__(self, description):
        super().__init__()
        self.ops = description["ops"]
        training = description["training"]
        self.modules_of = nn.ModuleDict()
        for i, op in enumerate(self.ops):
            module = self.module(op, training)
            if module is not None:
                self.modules_of[str(i)] = module

    @staticmethod
    def module(op, training):
        inputs, outputs = op["input"][0], op["output"][0]
        kernel, kind = op["kernel"], op["kind"]
        if kind in ("conv", "depthwise"):
            groups = inputs if kind == "depthwise" else op.get("groups", 1)
            return nn.Conv2d(inputs, outputs, kernel, op["stride"], (kernel - 1) // 2, groups=groups, bias=op["bias"])
        if kind == "norm":
            return nn.BatchNorm2d(outputs, eps=training["norm_epsilon"], momentum=training["norm_momentum"])
        if kind == "linear":
            return nn.Linear(inputs, outputs, bias=op["bias"])
        if kind == "layer_scale":
            scale = nn.Module()
            scale.gamma = nn.Parameter(torch.full((outputs, 1, 1), training["layer_scale"]))
            return scale
        return None

    def run(self, i, op, inputs):
        kind, x = op["kind"], inputs[0]
        if kind == "activation":
            return {"relu": functional.relu, "relu6": functional.relu6, "gelu": functional.gelu,
                    "hard_swish": functional.hardswish, "silu": functional.silu}[op["activation"]](x)
        if kind == "add":
            return inputs[0] + inputs[1]
        if kind == "pool":
            return x.mean((2, 3), keepdim=True)
        if kind == "linear":
            return self.modules_of[str(i)](x.flatten(1))
        if kind == "layer_scale":
            return x * self.modules_of[str(i)].gamma
        if kind == "sigmoid":
            return x.sigmoid()
        if kind == "hard_sigmoid":
            return functional.hardsigmoid(x)
        if kind == "multiply":
            return inputs[0] * inputs[1]
        if kind == "attention_scores":  # one key and value head
            n, channels = x.shape[:2]
            dimension = channels // op["heads"]
            query = x.flatten(2).view(n, op["heads"], dimension, -1)
            return query.transpose(2, 3) @ inputs[1].flatten(2)[:, None] / dimension**0.5
        if kind == "softmax":
            return x.softmax(-1)
        if kind == "attention_mix":
            mixed = inputs[1].flatten(2)[:, None] @ x.transpose(2, 3)
            return mixed.reshape(x.shape[0], *op["output"])
        return self.modules_of[str(i)](x)

    def forward(self, images):
        values = [images]
        for i, op in enumerate(self.ops):
            values.append(self.run(i, op, [values[j] for j in op["inputs"]]))
        return values[-1].flatten(1)


def training_step(network, images, bf16):
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    labels = torch.randint(network.ops[-1]["output"][0], (images.shape[0],))

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()

    return step


def inference(network, images, bf16):
    network.eval()
    if bf16:
        network, images = network.bfloat16(), images.bfloat16()

    def run():
        with torch.inference_mode():
            network(images)

    return run


def main():
    what, path, batch, precision, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    with open(path, encoding="utf-8") as file:
        description = json.load(file)
    network = Network(description).to(memory_format=torch.channels_last)
    shape = (int(batch), description["channels"], description["resolution"], description["resolution"])
    images = torch.randn(shape).to(memory_format=torch.channels_last)
    once = (training_step if what == "train" else inference)(network, images, precision == "bf16")
    answer(once)


if __name__ == "__main__":
    main()
