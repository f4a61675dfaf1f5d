"""Formats that are read and written: audio, and the pages of the report."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from cli.doctor.check import Asked, Check

TEMPLATE = Path(__file__).parents[2] / "reports" / "template.typ"
RATE, HERTZ, SECONDS = 16000, 440.0, 0.5
FORMATS = ("wav", "flac", "ogg", "mp3")
LIKE = 0.95  # correlation of what was read with what was written; mp3 and ogg lose a little


def audio(asked: Asked) -> Check:
    """A tone goes through a file of each format, by the way that all audio takes."""
    import numpy as np
    import soundfile

    name, found = "audio formats", f"libsndfile {soundfile.__libsndfile_version__}"
    tone = 0.5 * np.sin(2 * np.pi * HERTZ * np.arange(int(RATE * SECONDS)) / RATE)
    wrong = {}
    with tempfile.TemporaryDirectory(prefix="rsa-") as folder:
        for ending in FORMATS:
            if reason := _through(Path(folder) / f"tone.{ending}", tone):
                wrong[ending] = reason
    if wrong:
        said = "; ".join(f"{ending}: {reason}" for ending, reason in wrong.items())
        return Check(name, "problem", f"{found}: {said}",
                     "pip install -U --force-reinstall soundfile (its wheel brings libsndfile), or "
                     "convert such files to flac")  # fmt: skip
    return Check(name, "ok", f"{found}: {', '.join(FORMATS)} written and read back")


def _through(path: Path, tone) -> str:
    """Why what is read is not what was written; "" where it is."""
    import numpy as np
    import soundfile

    from extract.audio import read

    try:
        soundfile.write(path, tone, RATE)
        values = read(path, RATE).numpy()
    except Exception as error:  # whatever a decoder raises
        return (str(error) or type(error).__name__).splitlines()[0].replace(str(path), path.name)
    count = min(len(values), len(tone))
    if count < 0.9 * len(tone):
        return f"{len(values)} samples of {len(tone)}"
    like = np.corrcoef(values[:count], tone[:count])[0, 1]
    return "" if like > LIKE else f"another sound comes back (correlation {like:.2f})"


def pages(asked: Asked) -> Check:
    """A page with one word, in the faces of the report."""
    import typst

    name, cure = "typst (the PDF)", "pip install -U --force-reinstall typst"
    faces = re.findall(r'font: "([^"]+)"', TEMPLATE.read_text("utf-8"))
    words = "\n".join(f'#text(font: "{face}")[word]' for face in faces)
    try:
        made, warnings = typst.compile_with_warnings(words.encode(), ignore_system_fonts=True)
    except (typst.TypstError, RuntimeError, OSError) as error:
        return Check(name, "problem", str(error).splitlines()[0], cure)
    if not made.startswith(b"%PDF"):
        return Check(name, "problem", "what it makes is no PDF", cure)
    if warnings:
        return Check(name, "warn", "; ".join(one.message for one in warnings), cure)
    return Check(name, "ok", f"a page in {' and '.join(faces)}")
