"""What the endpoint tells about itself: metrics, traces, logs."""
