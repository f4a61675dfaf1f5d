"""Numbers about pairs of representations, and about single ones."""
