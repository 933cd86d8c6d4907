"""Feast definitions and the computations behind them."""

import plumbline.features  # noqa: F401 - sets the order of imports that Feast needs
