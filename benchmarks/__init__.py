"""Benchmarks against the usual peers, in one run: ``python -m benchmarks``."""
