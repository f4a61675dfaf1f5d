"""Data sets by name: one line of the registry each."""
