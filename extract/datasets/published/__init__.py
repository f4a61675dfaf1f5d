"""Data sets of the field, one module each."""
