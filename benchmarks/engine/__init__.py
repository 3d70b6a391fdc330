"""The benchmark of the engine against the alternatives: `python -m benchmarks.engine`."""
