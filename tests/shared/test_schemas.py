"""Records that refuse what would mislead, and those of earlier versions."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from shared.schemas import Episode, EpisodeOptions, EpisodeRequest
from tests.fakes import MemoryStore
from tests.studio.a_show import put_show


def test_a_consent_without_a_reference_is_refused_and_the_fix_is_named():
    with pytest.raises(ValidationError, match=r"--consent.*--guest-is"):
        EpisodeOptions(guest="Ann Ash", guest_is="consented", consent=" ")


@pytest.mark.parametrize("guest_is", ["invented", "real_without_consent"])
def test_a_reference_to_a_consent_that_nobody_gave_is_refused(guest_is: str):
    with pytest.raises(ValidationError, match="say guest_is `consented` too"):
        EpisodeRequest.model_validate(
            {"show": "lamp", "guest": "Ann", "guest_is": guest_is, "consent": "letter 7 of May"}
        )


def test_a_reference_fits_onto_a_line_or_two():
    assert EpisodeOptions(guest="Ann", guest_is="consented", consent="x" * 300).consent
    with pytest.raises(ValidationError, match="300 characters"):
        EpisodeOptions(guest="Ann", guest_is="consented", consent="x" * 301)


def test_an_episode_of_before_there_was_such_a_field_has_an_invented_guest():
    store = MemoryStore()
    stored = json.loads(store.get(put_show(store)))
    old_brief = {name: value for name, value in stored["brief"].items() if name not in ("guest_is", "consent")}

    episode = Episode.model_validate(stored | {"schema_version": 1, "brief": old_brief})

    assert (episode.brief.guest_is, episode.brief.consent) == ("invented", "")
