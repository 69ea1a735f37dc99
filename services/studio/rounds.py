"""One round past all services: what does each say about its machine?"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

from shared import preflight
from shared.client import ServiceClient
from shared.errors import DiaryError
from shared.needs import Finding
from shared.preflight import Checks


class Rounds:
    """Asks the services at once; one that does not answer is a finding too.

    urls    service name -> base URL
    token   one that all of them know
    own     studio's own checks
    """

    def __init__(self, urls: Mapping[str, str], token: str, own: Checks, *, transport: Any = None) -> None:
        self._urls = dict(urls)
        self._token = token
        self._own = own
        self._transport = transport

    def __call__(self) -> list[Finding]:
        with ThreadPoolExecutor(len(self._urls) + 1) as pool:
            own = pool.submit(partial(preflight.of, "studio", self._own))
            others = pool.map(self._ask, self._urls)
            return [*own.result(), *(finding for found in others for finding in found)]

    def _ask(self, service: str) -> list[Finding]:
        with closing(ServiceClient(service, self._urls[service], self._token, transport=self._transport)) as client:
            try:
                return [Finding(**found) for found in client.call("GET", "/health/preflight").json()]
            except DiaryError as error:
                return [Finding("service", False, str(error), service)]
