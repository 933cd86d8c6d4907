"""The steps of the training pipeline: one function each, from files to files, called by a thin KFP component."""
