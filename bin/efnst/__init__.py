"""The library that efnst's programs share."""

__version__ = "0.1.0"  # written by `./efnst generate` from manifest.version in nextflow.config
