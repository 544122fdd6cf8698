"""Looks over ONNX files with Python's onnx: checker, strict shape inference, and the reference evaluator where this version has one.

usage: python_check.py FOLDER    every FOLDER/NAME.onnx, with inputs and outputs in FOLDER/NAME.json
Prints the newest operator set it knows, then one JSON line a file that has none newer: shapes that inference finds otherwise, values
whose shape the file does not say, and the largest difference of the evaluator's outputs as a share of the largest output (null: not run).
"""
import glob
import json
import sys

import numpy as np
import onnx
from onnx import checker, shape_inference

try:
    from onnx.reference import ReferenceEvaluator
except ImportError:  # before onnx 1.13
    ReferenceEvaluator = None


def shapes(values):
    return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


def stripped_of_shapes(model):
    """The same model without what the exporter says of the values between inputs and outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    return copy


def is_wrong(op, model):
    """The evaluator's LRN is wrong off its own test's shape; its BatchNormalization before operator set 14 computes the training form."""
    return op == "LRN" or (op == "BatchNormalization" and model.opset_import[0].version < 14)


newest = onnx.defs.onnx_opset_version()
print(json.dumps({"onnx": onnx.__version__, "opset": newest, "evaluator": ReferenceEvaluator is not None}))
for file in sorted(glob.glob(sys.argv[1] + "/*.onnx")):
    model = onnx.load(file)
    if model.opset_import[0].version > newest:
        continue
    checker.check_model(file, full_check=True)
    inferred = shape_inference.infer_shapes(stripped_of_shapes(model), strict_mode=True, data_prop=True)
    ours, theirs = shapes(model.graph.value_info), shapes(inferred.graph.value_info)
    # Where inference knows a length, it is ours; names it invents for free ones say nothing.
    wrong = [
        f"{name}: ours {dims}, inferred {theirs[name]}"
        for name, dims in ours.items()
        if name in theirs
        and (len(dims) != len(theirs[name]) or any(isinstance(b, int) and b > 0 and a != b for a, b in zip(dims, theirs[name])))
    ]
    missing = [name for name in theirs if name not in ours]
    evaluated = None
    with open(file.replace(".onnx", ".json")) as text:
        case = json.load(text)
    if ReferenceEvaluator is not None and not any(is_wrong(node.op_type, model) for node in model.graph.node):
        feeds = {i["name"]: np.array(i["data"], dtype=i["dtype"]).reshape(i["dims"]) for i in case["inputs"]}
        try:
            evaluator = ReferenceEvaluator(model)
        except RuntimeError as error:  # some operators are there for newer operator sets only
            print(f"{file}: {error}", file=sys.stderr)
        else:
            results = evaluator.run(None, feeds)
            evaluated = max(
                float(np.abs(np.array(o["data"]).reshape(o["dims"]) - r).max() / max(np.abs(r).max(), 1e-30))
                for o, r in zip(case["outputs"], results)
            )
    print(json.dumps({"file": file.split("/")[-1], "inferred": wrong, "missing": missing, "values": len(ours), "evaluated": evaluated}))
