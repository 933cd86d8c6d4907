"""The classifier: n-grams, network, training, calibration, honest splits, evaluation; the seam for other models."""
