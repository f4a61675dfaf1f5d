"""One file per figure; each has functions from a study to drawings, None where there is no data."""
