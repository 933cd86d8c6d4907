"""The loop: takes alerts, retrains, and records what came of it. Its state survives any stop."""
