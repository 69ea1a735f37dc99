"""Which server of a vLLM fleet says an episode's turns: always the same one as long as it answers.

A server keeps what it has read in its prefix cache, so an episode that moved from server to server would be read again
at each turn. All gateways choose alike, without talking to each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def ranked(urls: Sequence[str], job_id: str) -> list[str]:
    """The servers in the order in which a job turns to them; losing one moves only the jobs that it had.

    source   rendezvous hashing (highest random weight), Thaler and Ravishankar 1998
    """
    return sorted(urls, key=lambda url: hashlib.sha256(f"{job_id} {url}".encode()).digest())
