"""Spatial domains of Visium sections with EfNST."""

__version__ = "0.1.0"  # written by `./efnst generate`
