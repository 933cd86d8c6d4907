"""Answers queries: admission, batching, features, the model, several models beside each other."""
