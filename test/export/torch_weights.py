"""Writes networks of full size with weights drawn from a seed, in the files that people have, and their logits for an image.

usage: torch_weights.py torchvision|grouped|alexnet|caffenet FOLDER
  image.bin (uint8 RGB [side, side, 3]), logits.bin (float32 [1000]), and
  torchvision: alexnet.pth, half.pth, bfloat16.pth, script.pt        grouped: module.pth, with nn.LocalResponseNorm
  alexnet, caffenet: as Caffe has them, NAME.caffemodel, encoded by the numbers of caffe.proto; alexnet.npy, as caffe-tensorflow converts it
"""
import struct
import sys

import numpy
import torch
import torchvision
from torch import nn

kind, folder = sys.argv[1:]
torch.manual_seed(11)


def conv(inputs, outputs, kernel, **window):
    return [nn.Conv2d(inputs, outputs, kernel, **window), nn.ReLU()]


def network(k, pools_first):
    def between():
        both = [nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=k), nn.MaxPool2d(3, 2)]
        return reversed(both) if pools_first else both

    return nn.Sequential(
        *conv(3, 96, 11, stride=4), *between(), *conv(96, 256, 5, padding=2, groups=2), *between(),
        *conv(256, 384, 3, padding=1), *conv(384, 384, 3, padding=1, groups=2), *conv(384, 256, 3, padding=1, groups=2),
        nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(),
        nn.Dropout(), nn.Linear(4096, 1000),
    )


def varint(value):
    return bytes([value]) if value < 128 else bytes([value % 128 | 128]) + varint(value // 128)


def number(field, value):
    return varint(field * 8) + varint(value)


def real(field, value):
    return varint(field * 8 + 5) + struct.pack("<f", value)


def message(field, *parts):
    body = b"".join(parts)
    return varint(field * 8 + 2) + varint(len(body)) + body


def blob(tensor):
    shape = message(7, *(number(1, length) for length in tensor.shape))
    return message(7, shape, message(5, tensor.detach().numpy().tobytes()))


def caffemodel(model):
    """NetParameter of LayerParameters."""
    layers, convolutions, norms, pools, products = [], 0, 0, 0, 5
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            convolutions += 1
            window = [number(3, layer.padding[0]), number(4, layer.kernel_size[0]), number(5, layer.groups), number(6, layer.stride[0])]
            fields = ["conv%d" % convolutions, "Convolution", blob(layer.weight), blob(layer.bias), message(106, *window)]
        elif isinstance(layer, nn.Linear):
            products += 1
            fields = ["fc%d" % products, "InnerProduct", blob(layer.weight), blob(layer.bias)]
        elif isinstance(layer, nn.LocalResponseNorm):
            norms += 1
            fields = ["norm%d" % norms, "LRN", message(118, number(1, 5), real(2, layer.alpha), real(3, layer.beta), real(5, layer.k))]
        elif isinstance(layer, nn.MaxPool2d):
            pools += 1
            fields = ["pool%d" % pools, "Pooling", message(121, number(1, 0), number(2, 3), number(3, 2))]
        else:
            continue
        name, kind, *rest = fields
        layers.append(message(100, message(1, name.encode()), message(2, kind.encode()), *rest))
    return b"".join(layers)


def dictionary(model):
    """{layer: [kernel, bias]}, kernels h, w, in, out; fc6 reads h, w, c."""
    layers = [layer for layer in model if isinstance(layer, (nn.Conv2d, nn.Linear))]
    found = {}
    for i, layer in enumerate(layers):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        if weight.ndim == 4:
            found["conv%d" % (i + 1)] = [numpy.ascontiguousarray(weight.transpose(2, 3, 1, 0)), bias]
        else:
            if i == 5:
                weight = weight.reshape(-1, 256, 6, 6).transpose(0, 2, 3, 1).reshape(-1, 9216)
            found["fc%d" % (i + 1)] = [numpy.ascontiguousarray(weight.T), bias]
    return found


if kind == "torchvision":
    model, side = torchvision.models.alexnet(), 224
    mean, std, scale, channels = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 255, [0, 1, 2]
elif kind == "grouped":
    model, side = network(2, False), 227
    mean, std, scale, channels = [123, 117, 104], [1, 1, 1], 1, [0, 1, 2]
else:
    model, side = network(1, kind == "caffenet"), 227
    mean, std, scale, channels = [122.67891434, 116.66876762, 104.00698793], [1, 1, 1], 1, [2, 1, 0]
model.eval()
for layer in model.modules():
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        layer.weight.data *= 2  # logits that depend on more than biases

image = torch.randint(0, 256, (side, side, 3), dtype=torch.uint8)
batch = ((image.float() / scale - torch.tensor(mean)) / torch.tensor(std)).permute(2, 0, 1)[None][:, channels]
with torch.no_grad():
    logits = model(batch)[0]
open(folder + "/image.bin", "wb").write(image.numpy().tobytes())
open(folder + "/logits.bin", "wb").write(logits.numpy().tobytes())

if kind == "torchvision":
    state = model.state_dict()
    torch.save({"module." + name: value for name, value in state.items()}, folder + "/alexnet.pth")
    torch.save({"state_dict": {name: value.half() for name, value in state.items()}}, folder + "/half.pth")
    torch.save({name: value.bfloat16() for name, value in state.items()}, folder + "/bfloat16.pth", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(model), folder + "/script.pt")
elif kind == "grouped":
    torch.save(model, folder + "/module.pth")
else:
    open(folder + "/" + kind + ".caffemodel", "wb").write(caffemodel(model))
    if kind == "alexnet":
        numpy.save(folder + "/alexnet.npy", dictionary(model))
