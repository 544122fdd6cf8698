"""Writes torchvision's AlexNet, weights drawn from a seed, as safetensors, with a picture and its logits beside it.

usage: torchvision_state.py FOLDER    FOLDER/alexnet.safetensors, picture.bin (uint8 [224, 224, 3]), logits.bin (float32 [1000])
"""
import json
import struct
import sys

import torch
import torchvision

folder = sys.argv[1]
torch.manual_seed(5)
model = torchvision.models.alexnet()
model.eval()
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

picture = torch.randint(0, 256, (224, 224, 3), dtype=torch.uint8)
mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
batch = ((picture.float() / 255 - mean) / std).permute(2, 0, 1)[None]
with torch.no_grad():
    logits = model(batch)[0]
open(folder + "/picture.bin", "wb").write(picture.numpy().tobytes())
open(folder + "/logits.bin", "wb").write(logits.numpy().tobytes())
