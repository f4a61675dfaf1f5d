"""HSIC with linear kernels, for all pairs of layers at once."""
