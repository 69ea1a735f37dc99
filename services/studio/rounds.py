"""One round past all services: what does each say about its machine?"""

from __future__ import annotations

from services.studio.neighbours import Neighbours
from shared import preflight
from shared.client import ServiceClient
from shared.errors import DiaryError
from shared.needs import Finding
from shared.preflight import Checks


def make_round(own: Checks, neighbours: Neighbours) -> list[Finding]:
    """Studio's own findings, then those of the others."""
    others = neighbours.ask_all(findings_of)
    return [*preflight.of("studio", own), *(finding for found in others for finding in found)]


def findings_of(service: str, client: ServiceClient) -> list[Finding]:
    """What a service says of its machine; that it does not answer is a finding too."""
    try:
        return [Finding(**found) for found in client.call("GET", "/health/preflight").json()]
    except DiaryError as error:
        return [Finding("service", False, str(error), service)]
