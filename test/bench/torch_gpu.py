"""AlexNet in PyTorch on a GPU, the peer of `npm run bench -- gpu`: training at batch 128 and 512, ten-crop inference.

    python3 torch_gpu.py --seconds 5
"""
import argparse, sys, time
import torch
from torch import nn
import torch.nn.functional as F

a = argparse.ArgumentParser()
a.add_argument("--seconds", type=float, default=5)
a.add_argument("--device", default="cuda")
a.add_argument("--batches", type=int, nargs="*", default=[128, 512])
a = a.parse_args()
if a.device == "cuda" and not torch.cuda.is_available():
    sys.exit("Error: torch has no CUDA here")
torch.manual_seed(0)


def alexnet():
    """The paper's, 227 pixels. torch divides alpha by the window."""
    norm = lambda: nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    conv = lambda i, o, k, **rest: [nn.Conv2d(i, o, k, **rest), nn.ReLU()]
    pool = lambda: nn.MaxPool2d(3, 2)
    return nn.Sequential(
        *conv(3, 96, 11, stride=4), norm(), pool(), *conv(96, 256, 5, padding=2, groups=2), norm(), pool(),
        *conv(256, 384, 3, padding=1), *conv(384, 384, 3, padding=1, groups=2),
        *conv(384, 256, 3, padding=1, groups=2), pool(), nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 1000))


def wait():
    if a.device == "cuda":
        torch.cuda.synchronize()


def rate(step, images):
    for _ in range(3):
        step()
    wait()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < a.seconds:
        step()
        wait()
        done += images
    return done / (time.perf_counter() - start)


name = torch.cuda.get_device_name() if a.device == "cuda" else a.device
for tf32 in ([False, True] if a.device == "cuda" else [False]):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    print(f"PyTorch {torch.__version__} on {name}{', TF32' if tf32 else ', float32'}")
    net = alexnet().to(a.device).train()
    optimizer = torch.optim.SGD(net.parameters(), 1e-4, momentum=0.9, weight_decay=5e-4)
    for batch in a.batches:
        x = torch.rand(batch, 3, 227, 227, device=a.device) * 240 - 120
        y = torch.randint(0, 1000, (batch,), device=a.device)

        def step():
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(net(x), y).backward()
            optimizer.step()

        print(f"  training, batch {batch}: {rate(step, batch):.3g} images/s")
    net.eval()
    crops = torch.rand(80, 3, 227, 227, device=a.device) * 240 - 120
    with torch.no_grad():
        served = rate(lambda: F.softmax(net(crops), 1).reshape(8, 10, -1).mean(1), 8)
    print(f"  serving, 8 images of 10 crops a run: {served:.3g} images/s")
