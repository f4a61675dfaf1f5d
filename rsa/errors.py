"""What can go wrong when representations are compared; every message is one line with the cure."""


class RsaError(Exception):
    """Base of this package's errors; `exit_code` is what the command line ends with."""

    exit_code = 5
