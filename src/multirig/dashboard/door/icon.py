"""The console's own picture: three rigs that start on one line."""

from __future__ import annotations

from urllib.parse import quote

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
    '<rect width="64" height="64" rx="12" fill="#1258a8"/>'
    '<g fill="#fff"><rect x="22" y="13" width="34" height="8" rx="4"/>'
    '<rect x="22" y="28" width="22" height="8" rx="4"/><rect x="22" y="43" width="28" height="8" rx="4"/></g>'
    '<rect x="10" y="8" width="5" height="48" rx="2.5" fill="#e69f00"/></svg>'
)
"""SVG."""
ICON_URL = f"data:image/svg+xml,{quote(ICON)}"
"""The same, to stand in a page."""
