"""SVG files of figures, made fit to stand together in one HTML page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline(file: Path, prefix: str, alt: str) -> str:
    """An `<svg>` element that fills its box; names inside begin with `prefix`."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK[1:].partition("}")[0])
    root = ElementTree.parse(file).getroot()
    for found in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(found)
    used = {
        name
        for element in root.iter()
        for value in element.attrib.values()
        for name in [*_REFERENCE.findall(value), *([value[1:]] if value[:1] == "#" else [])]
    }
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                if value in used:
                    element.set(key, prefix + value)
                else:
                    del element.attrib[key]
            elif key == _LINK and value.startswith("#"):
                element.set(key, f"#{prefix}{value[1:]}")
            elif "url(#" in value:
                element.set(key, _REFERENCE.sub(rf"url(#{prefix}\1)", value))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", alt)
    return ElementTree.tostring(root, encoding="unicode").strip()
