"""Drift policies, Evidently reports, exporter, alerts."""
