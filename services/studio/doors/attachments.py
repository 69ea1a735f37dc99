"""How studio sends text that somebody made up: as a file, and if a browser shows it all the same, without any power."""

from __future__ import annotations


def as_file(name: str) -> dict[str, str]:
    """Headers of an answer that is saved under a name; the name comes from us, never from a title."""
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
