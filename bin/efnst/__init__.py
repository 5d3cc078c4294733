"""The library that efnst's programs share."""

import os

# No library reports to its makers, as onnxruntime does unless this stands before it is imported.
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

__version__ = "0.1.0"  # written by `./efnst generate` from manifest.version in nextflow.config
