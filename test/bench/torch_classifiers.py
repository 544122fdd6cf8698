"""torchvision's ResNet-50 and MobileNetV2 with random weights as ONNX: torch_classifiers.py FOLDER"""
import sys, torch, torchvision

torch.manual_seed(0)
for name in ("resnet50", "mobilenet_v2"):
    model = getattr(torchvision.models, name)(weights=None).eval()
    torch.onnx.export(
        model,
        torch.zeros(1, 3, 224, 224),
        f"{sys.argv[1]}/{name}.onnx",
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=13,
    )
