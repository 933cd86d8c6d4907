"""Features of postings: the same values for training (as of each posting's time) and for serving."""

# Feast's metrics module puts prometheus_client into its mode for several processes (values in files of a temporary
# folder, shared by all registries) by setting a variable before importing it. Imported first, it stays in memory.
import prometheus_client  # noqa: F401
