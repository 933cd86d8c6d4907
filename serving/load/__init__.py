"""Open-loop load: requests leave when they are due, whether or not earlier ones were answered."""
