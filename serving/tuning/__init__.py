"""Finds the largest batch that leaves a request inside its latency budget, on the device at hand."""
