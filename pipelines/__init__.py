"""KFP components and pipelines; the local and the cluster runner."""
