"""A package that takes the place of `feature_repo`, as a user's own would: one view, one service."""
