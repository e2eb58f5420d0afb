"""A network as an ONNX file, with a program that predicts without torch."""
