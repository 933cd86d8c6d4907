"""Lets a new version in under traffic, judges it as answers come, and takes it out again by itself."""
