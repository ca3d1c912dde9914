"""What the plugin costs, measured: ``python -m benchmarks``."""
