"""The benchmark of the engine against its rivals: `python -m benchmarks.engine`."""
