"""From a matplotlib figure to SVG that can stand inside a page.

What matplotlib writes has style attributes, which a strict Content-Security-Policy refuses, colors that are lost on a
dark page, and ids that collide when a page holds two figures. Here styles become attributes, each color also a class
that a style sheet can override, and each id starts with the figure's name.
"""

from __future__ import annotations

import io
import re
from typing import Final
from xml.etree import ElementTree as Tree

import matplotlib as mpl
from matplotlib.figure import Figure

ROLES: Final = {
    "paper": "#ffffff",
    "ink": "#1c2127",
    "muted": "#59636e",
    "rule": "#d4d9de",
    "accent": "#0072b2",
    "good": "#00795a",
    "bad": "#b84a00",
    "line1": "#0073b3",
    "line2": "#b84b00",
    "line3": "#00795b",
    "line4": "#a3387a",
    "line5": "#7a6000",
    "line6": "#2f4b9c",
}
"""The colors of figures by role.

Blue is Okabe and Ito's (Color Universal Design, 2008); their bluish green and vermilion are darkened here until they
have a contrast of 4.5 on white. ``line1`` to ``line6`` tell lines apart, beside their marks and dashes: these three by
names of their own, Okabe and Ito's reddish purple darkened, a brown and an indigo. A style sheet replaces them through
the classes ``f-ROLE`` (fill) and ``s-ROLE`` (stroke).
"""

_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_PLACES = ("d", "x", "y", "transform", "stroke-dasharray")
_LOOKS = ("fill", "stroke", "stroke-width", "fill-opacity", "stroke-opacity", "opacity", "stroke-linejoin", "class")
_DROPPED_STYLES = {"font-family"}
_BY_COLOR = {color: role for role, color in ROLES.items()}


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Write a figure as SVG text that can be put into a page or a file.

    Args:
        figure: The figure; its colors are those of `ROLES`, its size is in inches of 72 pixels.
        name: What ids start with; it differs for each figure of a page.
        title: Its name for those who cannot see it.
        description: What can be seen on it.

    Returns:
        One ``svg`` element: equal figures give equal text, without dates, scripts or style attributes.
    """
    stream = io.StringIO()
    # Fixed settings: the user's own matplotlibrc must not change the bytes of a report.
    with mpl.rc_context({"svg.hashsalt": "hypermix", "svg.fonttype": "none", "svg.id": None}):
        figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
    root = Tree.fromstring(stream.getvalue())  # noqa: S314 - the text is matplotlib's own
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    _drop_extras(root)
    for element in root.iter():
        _rewrite(element, name)
    _drop_ids(root)
    _share_looks(root)
    _describe(root, name, title, description)
    return Tree.tostring(root, encoding="unicode")


def _drop_extras(root: Tree.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {"metadata", "style"}:
                parent.remove(child)


def _rewrite(element: Tree.Element, name: str) -> None:
    for declaration in element.attrib.pop("style", "").split(";"):
        key, found, value = declaration.partition(":")
        if found and key.strip() not in _DROPPED_STYLES:
            element.set(key.strip(), value.strip())
    roles = [
        f"{short}-{_BY_COLOR[element.attrib[paint]]}"
        for short, paint in (("f", "fill"), ("s", "stroke"))
        if element.get(paint) in _BY_COLOR
    ]
    if roles:
        element.set("class", " ".join(roles))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    if "d" in element.attrib:
        element.set("d", " ".join(element.attrib["d"].split()))
    for place in _PLACES:
        if place in element.attrib:  # a hundredth of a pixel is enough
            element.set(place, _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}", element.attrib[place]))
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.attrib['id']}")
    if _LINK in element.attrib:
        element.set("href", f"#{name}-{element.attrib.pop(_LINK).removeprefix('#')}")
    if "clip-path" in element.attrib:
        element.set("clip-path", _REFERENCE.sub(rf"url(#{name}-\1)", element.attrib["clip-path"]))
    if element.text is not None and not element.text.strip():
        element.text = None
    element.tail = "\n" if element.tag == "g" else None


def _share_looks(root: Tree.Element) -> None:
    """Give the group of many marks the look that they share: each mark is then its place alone."""
    for group in root.iter("g"):
        marks = [child for child in group if child.tag == "use"]
        if len(marks) > 1:
            for look in _LOOKS:
                shared = {mark.get(look) for mark in marks}
                if len(shared) == 1 and None not in shared:
                    group.set(look, marks[0].attrib[look])
                    for mark in marks:
                        del mark.attrib[look]


def _drop_ids(root: Tree.Element) -> None:
    used = {element.attrib["href"].removeprefix("#") for element in root.iter() if "href" in element.attrib}
    clips = (_REFERENCE.search(element.get("clip-path", "")) for element in root.iter())
    used |= {match.group(1) for match in clips if match}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)


def _describe(root: Tree.Element, name: str, title: str, description: str) -> None:
    _, _, width, height = root.attrib["viewBox"].split()
    root.attrib.clear()
    root.attrib.update(
        {
            "xmlns": _SVG,
            "viewBox": f"0 0 {width} {height}",
            "width": width,
            "height": height,
            "class": "figure",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-text",
            "font-family": _FONTS,
            "stroke-linejoin": "round",
        }
    )
    for tag, ending, text in (("desc", "text", description), ("title", "title", title)):
        child = Tree.Element(tag, {"id": f"{name}-{ending}"})
        child.text = text
        root.insert(0, child)
