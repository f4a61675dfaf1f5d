"""From what a head says of each frame to beats, chords, sections and notes."""
