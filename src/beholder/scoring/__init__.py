"""Scores, cards, the model table and the ONNX scorer."""

import os

# ONNX Runtime's own builds report their use to Microsoft, and keep an identifier of the device in the home folder. This
# is read when its library is loaded, so it stands before every import of it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
