"""A run as one page: what was found, how sure it is, and where it is still wrong.

`gather` reads a run's folder or an artifact; `html`, `text` and `drawings` show it. Needs no model
and no network; the page has no scripts.
"""

from .gather import Node, Point, Report, data, gather, without_examples
from .page import html
from .svg import drawings
from .text import text

__all__ = [
    "Node",
    "Point",
    "Report",
    "data",
    "drawings",
    "gather",
    "html",
    "text",
    "without_examples",
]
