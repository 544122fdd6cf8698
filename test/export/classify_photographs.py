"""torchvision's AlexNet, weights drawn from a seed, on photographs as its own preset prepares them.

usage: classify_photographs.py FOLDER IMAGE…    FOLDER/alexnet.pth, probabilities.bin (float32 [images, 1000])
"""
import sys

import torch
import torchvision
from PIL import Image, ImageOps
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

folder, *files = sys.argv[1:]
torch.manual_seed(3)
model = torchvision.models.alexnet().eval()
for layer in model.modules():
    if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
        layer.weight.data *= 2.4  # a few classes have most of the probability, and photographs differ
        if layer.bias is not None:
            layer.bias.data *= 0.1
prepare = Compose([Resize(256), CenterCrop(224), ToTensor(), Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
batch = torch.stack([prepare(ImageOps.exif_transpose(Image.open(file)).convert("RGB")) for file in files])
with torch.no_grad():
    probabilities = model(batch).softmax(1)
torch.save(model.state_dict(), folder + "/alexnet.pth")
open(folder + "/probabilities.bin", "wb").write(probabilities.numpy().tobytes())
print(probabilities.topk(3).values, probabilities.argmax(1))
