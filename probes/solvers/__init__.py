"""Optimisers of many problems at once."""
