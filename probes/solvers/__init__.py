"""Exact linear probes: many problems on the rows of one `Design`, solved together."""

from probes.solvers.problem import Fit, Problem
from probes.solvers.solve import MAX_STEPS, MEMORY, TOLERANCE, solve

__all__ = ["MAX_STEPS", "MEMORY", "TOLERANCE", "Fit", "Problem", "solve"]
