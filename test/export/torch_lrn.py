"""Writes the paper's AlexNet as PyTorch has it, with nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2), weights drawn from a seed.

usage: torch_lrn.py FOLDER    FOLDER/alexnet.onnx, alexnet.safetensors, picture.bin (uint8 [227, 227, 3]), logits.bin (float32 [1000])
"""
import json
import struct
import sys

import torch
from torch import nn


def norm():
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2)


def conv(inputs, outputs, kernel, **window):
    return [nn.Conv2d(inputs, outputs, kernel, **window), nn.ReLU()]


folder = sys.argv[1]
torch.manual_seed(7)
features = [
    *conv(3, 96, 11, stride=4), norm(), nn.MaxPool2d(3, 2),
    *conv(96, 256, 5, padding=2, groups=2), norm(), nn.MaxPool2d(3, 2),
    *conv(256, 384, 3, padding=1), *conv(384, 384, 3, padding=1, groups=2), *conv(384, 256, 3, padding=1, groups=2),
    nn.MaxPool2d(3, 2),
]
classifier = [
    nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
    nn.Linear(4096, 1000),
]
model = nn.Sequential(*features, *classifier).eval()
for layer in model:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        layer.weight.data *= 2  # logits that depend on more than biases

# The graph reads pixels minus a mean.
picture = torch.randint(0, 256, (227, 227, 3), dtype=torch.uint8)
mean = torch.tensor([123.0, 117.0, 104.0])
batch = (picture.float() - mean).permute(2, 0, 1)[None]
with torch.no_grad():
    logits = model(batch)[0]
torch.onnx.export(model, batch, folder + "/alexnet.onnx", opset_version=13)

state = {name: tensor.contiguous().numpy() for name, tensor in model.state_dict().items()}
header, offset = {}, 0
for name, values in state.items():
    header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
    offset += values.nbytes
text = json.dumps(header).encode()
with open(folder + "/alexnet.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    for values in state.values():
        file.write(values.tobytes())
open(folder + "/picture.bin", "wb").write(picture.numpy().tobytes())
open(folder + "/logits.bin", "wb").write(logits.numpy().tobytes())
