"""Evidence for why a task is read out where it is; one file a question."""
