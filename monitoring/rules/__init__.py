"""Prometheus rules as code: what is wrong with the platform itself. Drift alerts come from the monitors."""
