"""A whole stack whose services take few jobs of a show at a time: orders wait for room, and are carried out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.studio.machine.local import Stack
from shared.errors import QuotaError
from tests import kit
from tests.conftest import free_port_base

pytestmark = [pytest.mark.s3, pytest.mark.timeout(240)]


@pytest.fixture
def narrow(tmp_path) -> Iterator[Stack]:
    """One job of a show at a time in each service, studio included."""
    limits = {f"{service.upper()}_SHOW_JOBS": "1" for service in ("studio", *kit.ENGINES)}
    stack = kit.scripted_stack(tmp_path, free_port_base(), limits, step_s=0.1)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def test_an_order_for_the_whole_story_waits_for_room_in_each_service_and_another_order_is_refused(narrow: Stack):
    client = kit.studio_client(narrow)
    show = kit.create_show(client, "narrow")
    asked = kit.order(client, show, audio=3)
    job = client.submit("/v1/pipelines", asked)

    with pytest.raises(QuotaError, match=r"as many unfinished jobs in studio.*STUDIO_SHOW_JOBS"):
        client.submit("/v1/pipelines", asked)
    result = client.result(client.wait(job))

    kit.assert_whole(kit.store_of(narrow), asked, result)
