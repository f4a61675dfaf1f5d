"""Trying a model before a long run; see `extract.trial.checks`."""
