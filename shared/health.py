"""The health check of a container: `python -m shared.health URL` succeeds while the service answers."""

from __future__ import annotations

import sys
from http.client import HTTPException
from urllib.request import urlopen

TIMEOUT_S = 4.0


def answers(url: str) -> bool:
    """Whether a GET of the URL is answered with 2xx in time."""
    try:
        with urlopen(url, timeout=TIMEOUT_S) as response:
            return response.status < 300
    except (OSError, HTTPException):  # refused, too slow, an error status, or not HTTP at all
        return False


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1]) else 1)
