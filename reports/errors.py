"""What can go wrong between a study folder and a PDF."""


class ReportError(Exception):
    """A study that cannot be read, or a report that cannot be made; one line, with the cure.

    `exit_code` is what the command line ends with.
    """

    exit_code = 5
