"""Files of ONNX, in and out: recurrent nodes with all their attributes, whole graphs, and a backend that runs them."""
