"""Ray Serve application, latency budget, prediction log, load test."""
