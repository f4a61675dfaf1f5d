"""What each layer is like by itself, and what it tells about labels."""
