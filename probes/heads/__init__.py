"""Heads: what is trained on a frozen layer."""
