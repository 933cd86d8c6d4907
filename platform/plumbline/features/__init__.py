"""Features of postings: the same values for training (as of each posting's time) and for serving."""
