"""The other services, asked the same thing all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

from shared.client import ServiceClient

T = TypeVar("T")


class Neighbours:
    """The services that studio knows.

    urls    service name -> base URL
    token   one that all of them know
    """

    def __init__(self, urls: Mapping[str, str], token: str, *, transport: Any = None) -> None:
        self._urls = dict(urls)
        self._token = token
        self._transport = transport

    def ask_all(self, question: Callable[[str, ServiceClient], T]) -> list[T]:
        """The answers in the order of the services; `question` takes a service's name and a client of it."""

        def ask(service: str) -> T:
            with closing(ServiceClient(service, self._urls[service], self._token, transport=self._transport)) as client:
                return question(service, client)

        with ThreadPoolExecutor(len(self._urls)) as pool:
            return list(pool.map(ask, self._urls))
