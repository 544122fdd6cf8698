"""cuda-convnet's 18 % network in PyTorch, the peer of `npm run bench -- train`: prints its training rate as one JSON line.

    /usr/bin/python3 torch_cifar.py --batch 128 --steps 40
"""
import argparse, json, time
import torch
from torch import nn
import torch.nn.functional as F


def within_map_norm(x):
    s = 1 + 5e-5 * F.avg_pool2d(F.pad(x * x, (1, 1, 1, 1)), 3, 1)
    return x * s.pow(-0.75)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 32, 5, padding=2), nn.Conv2d(32, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.fc = nn.Linear(1024, 10)

    def forward(self, x):
        pool = lambda p, y: p(y, 3, 2, ceil_mode=True)
        x = within_map_norm(F.relu(pool(F.max_pool2d, self.c1(x))))
        x = within_map_norm(pool(F.avg_pool2d, F.relu(self.c2(x))))
        return self.fc(pool(F.avg_pool2d, F.relu(self.c3(x))).flatten(1))


a = argparse.ArgumentParser()
a.add_argument("--batch", type=int, default=128)
a.add_argument("--steps", type=int, default=40)
a = a.parse_args()
torch.manual_seed(0)
torch.set_num_threads(2)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), 1e-4, momentum=0.9, weight_decay=5e-4)
x, y = torch.rand(a.batch, 3, 32, 32) * 240 - 120, torch.randint(0, 10, (a.batch,))
times = []
for _ in range(a.steps + 2):
    t = time.perf_counter()
    optimizer.zero_grad()
    F.cross_entropy(net(x), y).backward()
    optimizer.step()
    times.append(time.perf_counter() - t)
times = sorted(times[2:])
print(json.dumps({"peer": f"torch {torch.__version__}", "images_per_s_median": a.batch / times[len(times) // 2], "images_per_s_best": a.batch / times[0]}))
