"""Which diariser is used, and what is said where it is not the one that was wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from services.transcription.engine import PACKAGED_DIARISER, _by_community
from services.transcription.settings import Options, Settings
from services.transcription.weights import options_of
from shared.errors import EngineRefusedError


class EarWithoutCommunity:
    """As the real one where the folder does not hold the pipeline."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def community(self) -> Any:
        raise FileNotFoundError("there is no config.yaml")


class Silent:
    def progress(self, *args: Any, **more: Any) -> None:
        pass


def told_apart(**options: str) -> Any:
    ear: Any = EarWithoutCommunity(Options.model_validate(options))
    silent: Any = Silent()
    return _by_community(ear, np.zeros(16_000, np.float32), 2, silent)


@pytest.mark.parametrize("options", [{}, {"diariser": "packaged", "diariser_model": "/models/c1"}])
def test_the_packaged_diariser_is_no_fallback_where_nobody_wants_another(options):
    assert told_apart(**options) == ([], PACKAGED_DIARISER, [])


def test_a_missing_community_1_falls_back_with_a_warning_that_says_how_to_get_it():
    spans, diariser, (warning,) = told_apart(diariser_model="/models/c1")

    assert (spans, diariser) == ([], PACKAGED_DIARISER)
    for part in (
        "packaged diariser",
        "/models/c1",
        "accept its conditions",
        "HF_TOKEN",
        "TRANSCRIPTION_DIARISER_MODEL",
    ):
        assert part in warning


def test_where_community_1_has_to_be_there_is_no_fallback():
    with pytest.raises(EngineRefusedError, match="accept its conditions"):
        told_apart(diariser="community-1")


def test_the_engine_is_told_which_diariser_is_wanted():
    options = options_of(Settings(diariser="community-1", diariser_model="/models/c1", device="cpu"))

    assert (options.diariser, options.diariser_model) == ("community-1", "/models/c1")
