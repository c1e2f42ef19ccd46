"""Scores, cards, the model table and the ONNX scorer."""
