"""Frame tasks: the grid of frames, labels as targets on it, and scores of what is decoded."""
