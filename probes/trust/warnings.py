"""What in the data makes a probe's number doubtful, in sentences of one line."""
