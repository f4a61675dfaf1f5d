"""One look for all figures: fonts, colours, sizes, ticks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from reports.words import abridged

WIDTH = 6.54  # inches between the report's margins (166 mm)
_DOTS = 200  # an inch of a PNG, and of what is an image in a PDF or SVG
INK, GREY, PALE = "#1a1a1a", "#767676", "#d9d9d9"

# Okabe and Ito's colours; A and B differ in lightness too, so they stay apart in grey.
ROLES = {"a": "#0072B2", "b": "#E69F00", "c": "#009E73", "d": "#CC79A7"}
_MORE = ("#56B4E9", "#D55E00", "#999999")
# Darker forms for text, which needs more contrast than a line.
ROLE_TEXT = {"a": "#005A8E", "b": "#9A6400", "c": "#00704F", "d": "#9C4C77"}
MARKERS = {"a": "o", "b": "s", "c": "^", "d": "D"}

FAMILIES = {
    "harmony": (
        "#0B2A3F",
        ("key", "tonic", "mode", "chord", "chord_frames", "triad_root", "triad_quality",
         "triad_inversion"),
    ),
    "pitch": (
        "#4A7F92",
        ("pitch", "pitch_number", "pitch_class", "octave", "register", "melody", "multipitch"),
    ),
    "timbre": (
        "#E3B23C",
        ("instrument", "instruments", "instrument_source", "family", "dynamics", "qualities",
         "sources", "vocal", "singer", "technique", "vowel"),
    ),
    "rhythm": (
        "#B5651D", ("tempo", "metre", "meter", "dance", "beat", "downbeat", "rhythm"),
    ),
    "texture": ("#A8A39A", ("density", "polyphony", "voices", "loudness")),
    "form": ("#7B6A9B", ("section", "function", "phrase_end")),
    "style": (
        "#A5426A",
        ("genre", "genres", "era", "composer", "origin", "mood", "moods", "arousal", "valence",
         "tags"),
    ),
}  # fmt: skip
OTHER = "#CFCFCF"

SEQUENTIAL: Colormap = LinearSegmentedColormap.from_list(
    "rsa-sequential", ["#FBFAF7", "#D9E4E6", "#97B9C1", "#4F8396", "#20526B", "#0B2A3F"]
).with_extremes(bad="#DDDAD4")
DIVERGING: Colormap = LinearSegmentedColormap.from_list(
    "rsa-diverging", ["#A8691B", "#DDBE8C", "#F8F7F4", "#8FB3BC", "#1F4E66"]
)

FACES = ["STIXGeneral", "DejaVu Sans"]
_RC = {
    "font.family": FACES,
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "hatch.linewidth": 0.4,
    "hatch.color": "#9a9a9a",
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    # A layer may be called "$x": names are text, never formulas.
    "text.parse_math": False,
    "figure.dpi": 100,
}


@contextmanager
def look() -> Iterator[None]:
    """The report's look for everything drawn inside; never opens a window."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    known = {font.name for font in font_manager.fontManager.ttflist}
    if "STIXGeneral" not in known:
        font_manager.fontManager.addfont(folder / "STIXGeneral.ttf")
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def canvas(height: float, width: float = WIDTH) -> Figure:
    """An empty figure in inches, laid out so that nothing is clipped."""
    return Figure(figsize=(width, height), layout="constrained")


def settle(figure: Figure) -> None:
    """Lays a figure out once and for all: saving it is then a single pass."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def save(figure: Figure, path: Path) -> Path:
    """Writes a figure as its name ends, in bytes that depend on the drawing alone.

    `.pdf`, `.svg` (letters as outlines: looks the same everywhere), `.inline` (SVG whose letters
    are text in the report's face, for HTML that brings the face), `.png`.
    """
    kind = path.suffix[1:]
    if kind == "pdf":
        metadata = {"CreationDate": None, "ModDate": None, "Creator": "rsa", "Producer": "rsa"}
        figure.savefig(path, format="pdf", dpi=_DOTS, metadata=metadata)
    elif kind == "png":
        figure.savefig(path, format="png", dpi=_DOTS, metadata={"Software": "rsa"})
    else:
        letters = {"svg.fonttype": "none" if kind == "inline" else "path"}
        with matplotlib.rc_context({**letters, "svg.hashsalt": path.stem}):
            about = {"Date": None, "Creator": "rsa"}
            figure.savefig(path, format="svg", dpi=_DOTS, metadata=about)
    return path


def is_twin(role: str) -> bool:
    """Whether a role is a model without training: `a0` is the twin of `a`."""
    return role.endswith("0")


def role_colour(role: str, *, text: bool = False) -> str:
    """A twin has the colour of its model."""
    role = role[:-1] if is_twin(role) else role
    table = ROLE_TEXT if text else ROLES
    return table.get(role) or _MORE[sum(map(ord, role)) % len(_MORE)]


def family_of(task: str) -> str:
    """The family of a task's key, `other` for a task of the user's own."""
    return next((name for name, (_, keys) in FAMILIES.items() if task in keys), "other")


def family_colour(task: str) -> str:
    return FAMILIES[family_of(task)][0] if family_of(task) != "other" else OTHER


def every_few(size: int, most: int) -> list[int]:
    """Indices to label: both ends and evenly between, at most about `most`, never crowded."""
    if size <= most:
        return list(range(size))
    step = next(s for s in (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 50, 10**6) if size / s <= most)
    picked = list(range(0, size - 1, step))
    if size - 1 - picked[-1] < max(0.75 * step, 1):
        picked.pop()
    return picked + [size - 1]


def label_layers(
    axes: Axes, names: Sequence[str], axis: str, most: int = 20, limit: int = 16
) -> None:
    """Layer names as ticks, thinned so that 72 layers stay legible."""
    places = every_few(len(names), most)
    labels = [abridged(names[i], limit) for i in places]
    if axis == "x":
        long = max(map(len, labels)) > 2
        axes.set_xticks(places, labels, rotation=90 if long else 0)
    else:
        axes.set_yticks(places, labels)


def span(axes: Axes, low: float, high: float, axis: str = "y", pad: float = 0.06) -> None:
    """Limits with a little air."""
    room = (high - low) * pad or 0.05
    (axes.set_ylim if axis == "y" else axes.set_xlim)(low - room, high + room)
