#!/usr/bin/env bash
# Tools that make weights 8 bits wide leave those of a GRU as they are: ONNX Runtime in silence, NNCF with an empty table.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, openvino 2026.4.1, nncf 3.4.0, numpy 2.4.6.
# Expected: quantize_dynamic and compress_weights, which are asked for smaller weights of a model that is one GRU, make it
#   smaller, or say that they cannot.
# Seen: onnxruntime.quantization.quantize_dynamic, int8, 64 numbers in, 128 units:
#     GRU   298165 bytes -> 298255, the node is GRU
#     LSTM  397495 bytes -> 102901, the node is DynamicQuantizeLSTM
#     RNN    99509 bytes ->  99599, the node is RNN
#   nncf.compress_weights on the same models, read by OpenVINO: all weights stay f32, those of the LSTM too.
#   Nothing is raised; the outputs of the GRU and the RNN are the same to the bit, as nothing was done.
# Why it matters: who deploys a GRU on a small device believes that it is small. Accuracy "after quantisation" is that of
#   the model before.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q onnxruntime==1.32.0 onnx==1.23.2 openvino==2026.4.1 nncf==3.4.0 numpy==2.4.6
cd "$tmp"
venv/bin/python - <<'PY' 2>quiet || { cat quiet; exit 1; }
import logging
import os
from importlib.metadata import version

import nncf
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

nncf.set_log_level(logging.ERROR)
print(*(f"{name} {version(name)}" for name in ("onnxruntime", "onnx", "openvino", "nncf")))
I, H = 64, 128
rng = np.random.default_rng(0)
for op, gates in (("GRU", 3), ("LSTM", 4), ("RNN", 1)):
    shapes = {"W": (1, gates * H, I), "R": (1, gates * H, H), "B": (1, 2 * gates * H)}
    weights = [numpy_helper.from_array(rng.normal(0, 0.1, s).astype(np.float32), n) for n, s in shapes.items()]
    node = helper.make_node(op, ["x", *shapes], ["y", "y_h"], hidden_size=H)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", "b", I])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["t", 1, "b", H])
    graph = helper.make_graph([node], op, [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    before, after = f"{op}.onnx", f"{op}.int8.onnx"
    onnx.save(model, before)

    quantize_dynamic(before, after, weight_type=QuantType.QInt8)
    sizes = [os.path.getsize(name) for name in (before, after)]
    [found] = [node.op_type for node in onnx.load(after).graph.node]
    values = rng.normal(size=(20, 2, I)).astype(np.float32)
    plain, small = (ort.InferenceSession(name).run(None, {"x": values})[0] for name in (before, after))
    print(f"{op:5} {sizes[0]} bytes -> {sizes[1]}, the node is {found}")
    if op == "LSTM":
        assert found == "DynamicQuantizeLSTM" and sizes[1] < sizes[0] / 3
    else:
        assert found == op and sizes[1] >= sizes[0] and np.array_equal(plain, small)

    compressed = nncf.compress_weights(ov.convert_model(before))
    types = {
        node.get_element_type().get_type_name()
        for node in compressed.get_ops()
        if node.get_type_name() == "Constant" and np.prod(node.get_output_shape(0)) > 1000
    }
    print(f"      by NNCF: weights of type {types}")
    assert types == {"f32"}
PY
