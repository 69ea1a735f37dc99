"""Judgements of a machine: which GPU, driver, disk, model and program will do, and what is said of those that will not.

The GPUs are nvidia-smi's lines for these cards, put together from its documented format: none was seen by us.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from shared import machine, needs
from shared.machine import Answer, Disk, Gpus
from shared.needs import GB, Finding, Need

THREE = ("transcription", "trainer", "inference")
H100 = "NVIDIA H100 80GB HBM3, 9.0, 580.95.05, 81559 MiB"
RTX_4090 = "NVIDIA GeForce RTX 4090, 8.9, 580.95.05, 24564 MiB"
L4 = "NVIDIA L4, 8.9, 580.95.05, 23034 MiB"
RTX_3060 = "NVIDIA GeForce RTX 3060, 8.6, 580.95.05, 12288 MiB"
T4 = "Tesla T4, 7.5, 580.95.05, 15360 MiB"
V100 = "Tesla V100-SXM2-16GB, 7.0, 580.95.05, 16384 MiB"
DRIVER_GONE = Answer(
    9,
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.",
)


def gpus(*lines: str) -> Gpus:
    return machine.read_gpus(Answer(0, "\n".join(lines)))


@pytest.mark.parametrize("card", [H100, RTX_4090, L4], ids=lambda line: line.split(",")[0])
@pytest.mark.parametrize("service", THREE)
def test_a_card_of_today_will_do_for_every_service(card: str, service: str):
    found = needs.judge_gpus(gpus(card), service, demanded=True)

    assert [finding.what for finding in found] == ["GPU 0", "GPU driver"]
    assert all(finding.ok and not finding.stops for finding in found)
    assert card.split(",")[0] in found[0].detail


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (T4, "7.5: untested"),
        (V100, "7.0: too old"),
        (RTX_3060, "12 GiB, compute capability 8.6: the default 7B model is planned for 24 GB"),
        ("NVIDIA H100, [N/A], 580.95.05, 81559 MiB", "unknown"),
    ],
)
def test_what_is_wrong_with_a_card_is_said(card: str, words: str):
    found = needs.judge_gpus(gpus(card), "trainer")[0]

    assert not found.ok and words in found.detail


def test_only_cards_that_cannot_work_stop_a_service_that_demands_one():
    def stops(*cards: str, demanded: bool = True) -> bool:
        return any(finding.stops for finding in needs.judge_gpus(gpus(*cards), "trainer", demanded=demanded))

    assert stops(V100) and not stops(V100, demanded=False)
    assert not stops(T4) and not stops(RTX_3060) and not stops(V100, H100)
    assert not stops("NVIDIA H100, [N/A], [N/A], [N/A]")


@pytest.mark.parametrize("service", ["", *THREE])
@pytest.mark.parametrize("driver", ["575.57.08", "570.124.06", "535.183.01", "[N/A]"])
def test_every_service_asks_for_the_driver_of_the_whole_stack(driver: str, service: str):
    found = needs.judge_gpus(gpus(f"NVIDIA H100, 9.0, {driver}, 81559 MiB"), service)[1]

    assert not found.ok and not found.stops and "install 580 or newer" in found.detail


@pytest.mark.parametrize(
    ("driver", "service", "stops"),
    [
        ("575.57.08", "trainer", True),
        ("575.57.08", "inference", True),
        ("535.183.01", "transcription", False),
        ("515.65.01", "transcription", True),
        ("[N/A]", "trainer", False),
    ],
)
def test_a_driver_stops_only_a_service_that_surely_cannot_use_it(driver: str, service: str, stops: bool):
    found = needs.judge_gpus(gpus(f"NVIDIA H100, 9.0, {driver}, 81559 MiB"), service, demanded=True)[1]

    assert found.stops is stops and "580" in found.detail


def test_without_a_gpu_the_small_models_run_unless_one_is_demanded():
    relaxed = needs.judge_gpus(Gpus(), "trainer")
    demanded = needs.judge_gpus(Gpus(), "trainer", demanded=True)

    assert relaxed == [Finding("GPU", True, "no GPU seen: small models on the CPU")]
    assert demanded[0].stops and "compose.cpu.yaml" in demanded[0].detail


def test_a_broken_driver_stops_and_a_hanging_one_does_not():
    gone = needs.judge_gpus(machine.read_gpus(DRIVER_GONE), "trainer", demanded=True)
    hanging = needs.judge_gpus(Gpus(trouble="nvidia-smi: timed out after 20 seconds"), "trainer", demanded=True)
    of_2021 = machine.read_gpus(Answer(2, 'Field "compute_cap" is not a valid field to query.'))

    assert gone[0].stops and "repair NVIDIA's driver" in gone[0].detail
    assert not hanging[0].ok and not hanging[0].stops
    assert "580 or newer" in needs.judge_gpus(of_2021, "trainer")[0].detail


def test_what_goes_to_one_disk_is_added_up():
    work, models, other = Path("/state/work"), Path("/models"), Path("/other")
    wanted = [Need(work, 10 * GB, "work"), Need(models, 15 * GB, "models"), Need(other, GB, "logs")]

    small = needs.judge_disks(wanted, {work: Disk(1, 20 * GB), models: Disk(1, 20 * GB), other: Disk(2, 9 * GB)})
    large = needs.judge_disks(wanted, {work: Disk(1, 90 * GB), models: Disk(1, 90 * GB), other: Disk(2, 9 * GB)})

    assert [finding.ok for finding in small] == [False, True]
    assert small[0].what == "disk of /state/work and /models"
    assert small[0].detail.startswith("20 GB free; about 25 GB wanted: work 10 GB, models 15 GB; free some")
    assert all(finding.ok for finding in large)


@pytest.mark.parametrize(
    ("version", "ok", "words"),
    [
        ("2026.8.19", True, "2026.8.19"),
        ("2026.6.1.232815.dev0", False, "91 days old"),
        ("2026.7.1", False, "61 days old and sites have changed since; run `make update-ytdlp`"),
        (None, False, "make install"),
    ],
)
def test_an_old_yt_dlp_is_named(version, ok, words):
    found = needs.judge_yt_dlp(version, date(2026, 8, 31))

    assert found.ok is ok and words in found.detail


@pytest.mark.parametrize(
    ("answers", "ok", "words"),
    [
        ({"deno": "deno 2.9.5 (stable, release, x86_64-unknown-linux-gnu)\nv8 14"}, True, "deno 2.9.5"),
        ({"deno": "deno 2.1.0"}, False, "install deno 2.3.0"),
        ({"node": "v22.21.0"}, False, "found node 22.21.0; install deno"),
        ({"quickjs": "QuickJS-ng version 0.11.0"}, False, "found quickjs 0.11.0"),
        ({}, False, "found nothing"),
    ],
)
def test_a_javascript_runtime_that_yt_dlp_uses_is_needed(answers, ok, words):
    found = needs.judge_javascript(answers)

    assert found.ok is ok and words in found.detail


def test_ffmpeg_is_there_or_its_setting_is_named():
    assert needs.judge_ffmpeg("/usr/bin/ffmpeg").ok and "INGEST_FFMPEG" in needs.judge_ffmpeg(None).detail
