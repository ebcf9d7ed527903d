"""The Open Inference Protocol, version 2: its routes, its messages, and models as tensors in and out."""
