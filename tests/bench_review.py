"""What it takes to put the demo's transcripts right by keyboard. After `make demo`: `make bench-review`.

    python -m tests.bench_review [--demo .run/demo]

A copy of the demo's stack is started, without any engine. A browser goes through the doubtful turns of every spoken
interview, listens to each with two seconds around it, and decides by the script that was spoken: right as it is, or the
other speaker. The aims are for all of them together: at most 3 keys a turn, at most 10 % of the audio heard.
Ends with 1 where an aim is missed, or where nothing was doubtful.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from services.studio.machine.local import ROOT, Stack, venv_python
from shared.client import ServiceClient
from tests.conftest import free_port_base
from tests.kit import studio_client, until
from tests.studio.pages.conftest import ARGUMENTS, chromium
from tests.studio.pages.replaying import Economy, replay

MOST_KEYS, MOST_HEARD = 3.0, 0.10
RATE = 4.0  # as fast as a person would never listen; slower than the page overshoots by


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=ROOT / ".run" / "demo")
    demo = parser.parse_args().demo
    if not (demo / "stack" / "objects").is_dir():
        print(f"there is no demo in {demo}; run `make demo` first", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder, running(demo / "stack", Path(folder) / "stack") as stack:
        client = studio_client(stack)
        [show] = [one["slug"] for one in client.call("GET", "/v1/shows").json()]
        told = review_all(stack, client, show, truths(demo / "spoken"))
    return verdict(told)


@contextlib.contextmanager
def running(demo: Path, folder: Path) -> Iterator[Stack]:
    """A copy of a stack's data, with the services that a review needs."""
    shutil.copytree(demo, folder, ignore=shutil.ignore_patterns("pids", "logs", "lease"))
    stack = Stack(folder, free_port_base(), python_of=venv_python)
    try:
        for name in ("s3", "transcription", "studio"):
            stack.program(name).start(ROOT)
            stack.wait_healthy(name)
        yield stack
    finally:
        stack.down()


def truths(folder: Path) -> dict[str, dict[str, Any]]:
    """What was spoken, by guest."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.reference.json")]
    return {one["guest"]: one for one in found}


def review_all(
    stack: Stack, client: ServiceClient, show: str, spoken: Mapping[str, Mapping[str, Any]]
) -> dict[str, Economy]:
    told = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        page = browser.new_page()
        page.goto(f"{stack.url('studio')}/login")
        page.get_by_label("Token").fill(stack.admin_token())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{stack.url('studio')}/")
        for recording in client.call("GET", f"/v1/shows/{show}/recordings").json():
            if recording["guest"] in spoken and recording["working"]:
                wanted = wanted_of(client, show, recording["id"], spoken[recording["guest"]])
                told[recording["guest"]] = review(page, stack.url("studio"), show, recording["id"], wanted)
        browser.close()
    return told


def wanted_of(
    client: ServiceClient, show: str, recording: str, truth: Mapping[str, Any]
) -> dict[str | tuple[float, float], str]:
    """Who talks when, by the labels of the transcript: the host's, and the guest's."""
    transcript = client.call("GET", f"/v1/shows/{show}/transcripts/{recording}").json()
    labels = {speaker["role"]: speaker["label"] for speaker in transcript["speakers"]}
    return {
        (turn["start_s"], turn["end_s"]): labels["host" if turn["speaker"] == truth["host"] else "guest"]
        for turn in truth["turns"]
    }


def review(page: Any, url: str, show: str, recording: str, wanted: Mapping[Any, str]) -> Economy:
    page.goto(f"{url}/shows/{show}/recordings/{recording}/review")
    page.wait_for_selector("html[data-ready]")
    until(lambda: page.locator("#state").get_attribute("data-doubtful") is not None, "the turns are drawn")
    return replay(page, wanted, rate=RATE)


def verdict(told: Mapping[str, Economy]) -> int:
    print("| interview with | doubtful turns | given to another | keys | keys a turn | heard, s | of |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for guest, one in told.items():
        print(
            f"| {guest} | {one.decided} | {one.corrected} | {one.keys} | {one.keys_per_turn:.2f} | "
            f"{one.listened_s:.1f} | {one.recording_s:.0f} s: {100 * one.listened_share:.1f} % |"
        )
    decided, keys = sum(one.decided for one in told.values()), sum(one.keys for one in told.values())
    heard = sum(one.listened_s for one in told.values()) / max(1.0, sum(one.recording_s for one in told.values()))
    if not decided:
        print("nothing was doubtful: there was nothing to measure")
        return 1
    corrected = sum(one.corrected for one in told.values())
    print(f"| all | {decided} | {corrected} | {keys} | {keys / decided:.2f} | | {100 * heard:.1f} % |")
    missed = keys / decided > MOST_KEYS or heard > MOST_HEARD
    print("an aim was missed" if missed else "every aim was reached")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
