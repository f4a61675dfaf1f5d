"""How sure a number is, what chance gives, and which structure survives resampling."""
