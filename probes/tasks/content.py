"""Which references describe what a family of tasks is about."""

from __future__ import annotations

# Families whose content no reference describes (genre, mood, era ...) are left out.
CONTENT: dict[str, tuple[str, ...]] = {
    "key": ("chroma",),
    "chord": ("chroma",),
    "pitch": ("salience",),
    "tempo": ("tempogram",),
    "beat": ("onset", "flux", "tempogram"),
    "instrumentation": ("mfcc",),
    "sonority": ("loudness",),
    "voice": ("mfcc",),
}
