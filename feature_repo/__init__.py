"""Feast definitions and the computations behind them."""
