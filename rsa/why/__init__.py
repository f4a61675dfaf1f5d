"""Evidence that needs representations alone for what layers are like; one file a question."""
