"""Audio and weights in, activations of every layer on disk."""
