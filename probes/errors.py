"""What can go wrong when probes are trained; every message is one line with the cure."""


class ProbeError(Exception):
    """Base of this package's errors; `exit_code` is what the command line ends with."""

    exit_code = 5
