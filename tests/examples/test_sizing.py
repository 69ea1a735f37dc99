"""The sizing page says what its program prints, and the program follows its formula."""

from __future__ import annotations

import dataclasses
import re

import pytest

from examples.sizing import (
    CARDS,
    DAY_S,
    H200,
    Load,
    gpus,
    gpus_afterwards,
    hearing_s,
    load_of,
    page,
    training_s,
    writing_s,
)
from services.studio.machine.local import ROOT
from services.trainer.presets import TFLOPS
from services.trainer.sizes import lora_parameters

MISTRAL_7B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": 32,
}


def test_the_page_has_what_the_program_prints():
    text = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
    shown = text.split("prints -->\n")[1].split("\n\nA GPU is counted")[0]

    assert shown == page(Load())


def test_the_command_of_the_page_is_understood():
    text = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
    [options] = re.findall(r"`python -m examples\.sizing (--[^`]+)`", text)[:1]

    load = load_of(options.split())

    assert dataclasses.asdict(load) == {
        "recordings": 300,
        "hours": 1.0,
        "episodes": 5,
        "words": 10_000,
        "within_days": 30.0,
    }


def test_twice_the_load_takes_twice_the_time():
    once, twice = Load(), Load(recordings=2000, episodes=200)

    for card in CARDS:
        assert writing_s(twice, card) == pytest.approx(2 * writing_s(once, card))
        assert training_s(twice, card) == pytest.approx(2 * training_s(once, card))
    assert hearing_s(twice) == pytest.approx(2 * hearing_s(once))


def test_a_measured_card_trains_at_its_measured_speed():
    load = Load(recordings=1, hours=1.0)

    assert 9_000 * 1.33 * 3 / training_s(load, H200) == pytest.approx(5_361)


def test_gpus_are_enough_for_what_is_asked():
    load = Load(recordings=10_000, episodes=2_000)
    for card in CARDS:
        a_day = (hearing_s(load) + training_s(load, card)) / load.within_days + writing_s(load, card)
        assert (gpus(load, card) - 1) * DAY_S * 0.7 < a_day <= gpus(load, card) * DAY_S * 0.7
        assert gpus_afterwards(load, card) <= gpus(load, card)
    assert gpus(Load(recordings=1, episodes=0), H200) == 1


def test_cards_and_adapter_are_those_that_the_trainer_counts_with():
    known = dict(TFLOPS)

    assert [card.tflops for card in CARDS] == [known["4090"], known["L40S"], known["H100"], known["H200"]]
    assert lora_parameters(MISTRAL_7B, 16) == 41_943_040
