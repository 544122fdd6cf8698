"""cuda-convnet's networks for CIFAR-10 in PyTorch, peers of `npm run bench -- train`: prints a training rate as one JSON line.

    /usr/bin/python3 torch_cifar.py --network cifar10-18pct --batch 128 --steps 40 [--bf16] [--channels-last]
"""
import argparse, json, time
import torch
from torch import nn
import torch.nn.functional as F

pool = lambda p, y: p(y, 3, 2, ceil_mode=True)


def within_map_norm(x):
    s = 1 + 5e-5 * F.avg_pool2d(F.pad(x * x, (1, 1, 1, 1)), 3, 1)
    return x * s.pow(-0.75)


class Net18(nn.Module):
    side = 32

    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 32, 5, padding=2), nn.Conv2d(32, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.fc = nn.Linear(1024, 10)

    def forward(self, x):
        x = within_map_norm(F.relu(pool(F.max_pool2d, self.c1(x))))
        x = within_map_norm(pool(F.avg_pool2d, F.relu(self.c2(x))))
        return self.fc(pool(F.avg_pool2d, F.relu(self.c3(x))).flatten(1))


class Local(nn.Module):
    """A 3×3 convolution whose kernel and bias are another at every place."""

    def __init__(self, side, inputs, outputs):
        super().__init__()
        self.side = side
        self.kernel = nn.Parameter(torch.randn(side * side, inputs * 9, outputs) * 0.04)
        self.bias = nn.Parameter(torch.zeros(side * side, 1, outputs))

    def forward(self, x):
        windows = F.unfold(x, 3, padding=1).permute(2, 0, 1).contiguous()  # strided, PyTorch 2.6 takes four times as long
        y = torch.baddbmm(self.bias, windows, self.kernel)
        return y.permute(1, 2, 0).reshape(x.shape[0], -1, self.side, self.side)


class Net11(nn.Module):
    side = 24

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(3, 64, 5, padding=2), nn.Conv2d(64, 64, 5, padding=2)
        self.norm1, self.norm2 = (nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1.0) for _ in range(2))
        self.l3, self.l4, self.fc = Local(6, 64, 64), Local(6, 64, 32), nn.Linear(1152, 10)

    def forward(self, x):
        x = self.norm1(pool(F.max_pool2d, F.relu(self.c1(x))))
        x = pool(F.max_pool2d, self.norm2(F.relu(self.c2(x))))
        return self.fc(F.relu(self.l4(F.relu(self.l3(x)))).flatten(1))


a = argparse.ArgumentParser()
a.add_argument("--network", choices=["cifar10-18pct", "cifar10-11pct"], default="cifar10-18pct")
a.add_argument("--batch", type=int, default=128)
a.add_argument("--steps", type=int, default=40)
a.add_argument("--bf16", action="store_true")
a.add_argument("--channels-last", action="store_true")
a = a.parse_args()
torch.manual_seed(0)
torch.set_num_threads(2)
layout = torch.channels_last if a.channels_last else torch.contiguous_format
net = {"cifar10-18pct": Net18, "cifar10-11pct": Net11}[a.network]().to(memory_format=layout)
optimizer = torch.optim.SGD(net.parameters(), 1e-4, momentum=0.9, weight_decay=5e-4)
x = (torch.rand(a.batch, 3, net.side, net.side) * 240 - 120).to(memory_format=layout)
y = torch.randint(0, 10, (a.batch,))
times = []
for _ in range(a.steps + 2):
    t = time.perf_counter()
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
        logits = net(x)
    F.cross_entropy(logits.float(), y).backward()
    optimizer.step()
    times.append(time.perf_counter() - t)
times = sorted(times[2:])
print(json.dumps({"peer": f"torch {torch.__version__}", "images_per_s_median": a.batch / times[len(times) // 2], "images_per_s_best": a.batch / times[0]}))
