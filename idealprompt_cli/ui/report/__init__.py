"""A run as one page: what was found, how sure it is, and where it is still wrong (layer 3).

`gather` reads a run's folder or an artifact; `html`, `text` and `drawings` show it. Needs no model
and no network; the page has no scripts.
"""

from .gather import Node, Point, Report, gather
from .page import html
from .paint import drawings
from .plain import text

__all__ = ["Node", "Point", "Report", "drawings", "gather", "html", "text"]
