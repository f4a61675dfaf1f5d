"""The report's type faces as a style sheet: cut to the letters in use, and carried inside."""

from __future__ import annotations

import html
import re
from base64 import b64encode
from functools import cache
from io import BytesIO
from pathlib import Path

_FACES = {
    "STIXGeneral.ttf": ("normal", "normal"),
    "STIXGeneralItalic.ttf": ("italic", "normal"),
    "STIXGeneralBol.ttf": ("normal", "bold"),
}
# Browsers take single letters of formulas from the block of italic mathematical letters.
_ALWAYS = "".join(map(chr, [*range(0x20, 0x7F), 0x210E, *range(0x1D434, 0x1D468)]))
_ALWAYS += "\N{HORIZONTAL ELLIPSIS}\N{MINUS SIGN}\N{EN DASH}\N{MULTIPLICATION SIGN}"
_ALWAYS += "\N{MATHEMATICAL ITALIC CAPITAL DELTA}\N{MATHEMATICAL ITALIC SMALL THETA}"


def style(body: str) -> str:
    """`@font-face` rules for the letters of a page."""
    used = frozenset(html.unescape(re.sub(r"data:image/[^\"]*", "", body)) + _ALWAYS)
    rules = []
    for name, (slope, weight) in _FACES.items():
        data = b64encode(_cut(name, used)).decode()
        rules.append(
            f"@font-face{{font-family:STIXGeneral;font-style:{slope};font-weight:{weight};"
            f"src:url(data:font/woff;base64,{data}) format('woff')}}"
        )
    return "\n".join(rules)


@cache
def _cut(name: str, used: frozenset[str]) -> bytes:
    import matplotlib
    from fontTools import subset
    from fontTools.ttLib import TTFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    options = subset.Options(flavor="woff", layout_features=[], notdef_outline=True, hinting=False)
    options.drop_tables += ["FFTM", "PfEd"]
    with TTFont(folder / name, recalcTimestamp=False) as font:
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=sorted(map(ord, used)))
        cutter.subset(font)
        font.flavor = "woff"
        out = BytesIO()
        font.save(out, reorderTables=False)
        return out.getvalue()
