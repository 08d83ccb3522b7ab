"""Measurements of the hot path: ``python -m bench`` compares, ``python -m bench.callgrind`` counts (see README.md)."""
