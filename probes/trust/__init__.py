"""What makes a probe's number trustworthy; one file a question."""
