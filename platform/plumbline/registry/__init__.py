"""Tracking, the model registry and its aliases, the promotion gate, and the steps of training."""
