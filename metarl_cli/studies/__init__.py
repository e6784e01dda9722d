"""Experiments with the trainer and the estimators that are no training run, and what papers make of trained runs."""
