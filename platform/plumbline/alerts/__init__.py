"""Alerts in Alertmanager's webhook form, and their delivery."""
