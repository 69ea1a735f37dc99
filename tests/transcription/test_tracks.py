"""Two microphones in one room: each hears both people, the other one more quietly."""

from __future__ import annotations

import numpy as np
import pytest

from services.transcription.tracks import FRAME_S, gated, levels_db, placed, two_levels, who_talks

RATE_HZ = 16_000
HOST = ((0.5, 4.0), (8.0, 12.0), (16.0, 20.0))
GUEST = ((4.4, 7.6), (12.5, 15.5), (20.5, 24.0))


def speech(spans, seconds: float, seed: int) -> np.ndarray:
    """Noise that swells four times a second, as syllables do."""
    chance = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE_HZ), dtype=np.float32)
    for start_s, end_s in spans:
        times = np.arange(round((end_s - start_s) * RATE_HZ)) / RATE_HZ
        loudness = 0.15 + 0.85 * np.abs(np.sin(2 * np.pi * 2 * times))
        first = round(start_s * RATE_HZ)
        sound[first : first + len(times)] = 0.1 * loudness * chance.standard_normal(len(times))
    return sound


def microphones(*talk, seconds=25.0, bleed_db=-20.0, gains_db=(0.0, 0.0), hiss_db=-65.0) -> list[np.ndarray]:
    own = [speech(spans, seconds, seed) for seed, spans in enumerate(talk)]
    heard = []
    for place, gain_db in enumerate(gains_db):
        others = sum((sound for index, sound in enumerate(own) if index != place), np.zeros_like(own[0]))
        hiss = 10 ** (hiss_db / 20) * np.random.default_rng(100 + place).standard_normal(len(own[0]))
        sound = own[place] + 10 ** (bleed_db / 20) * np.roll(others, 80) + hiss
        heard.append((10 ** (gain_db / 20) * sound).astype(np.float32))
    return heard


def talk_of(heard: list[np.ndarray]):
    return who_talks([levels_db(sound, RATE_HZ) for sound in heard])


def share(spans, of) -> float:
    """Share of the time of `of` that lies in `spans`."""
    shared = sum(max(0.0, min(end, last) - max(start, first)) for start, end in spans for first, last in of)
    return shared / sum(last - first for first, last in of)


@pytest.mark.parametrize("gains_db", [(0, 0), (0, -18), (-18, 0)])
@pytest.mark.parametrize("bleed_db", [-10, -20, -30])
def test_each_track_keeps_its_own_speaker_whatever_its_gain(bleed_db, gains_db):
    talk = talk_of(microphones(HOST, GUEST, bleed_db=bleed_db, gains_db=gains_db))

    assert talk.copy_of == {}
    for own, other, spans in ((HOST, GUEST, talk.spans[0]), (GUEST, HOST, talk.spans[1])):
        assert share(spans, own) > 0.95
        assert share(spans, other) < 0.01


def test_talking_at_the_same_time_is_heard_on_both_tracks():
    talk = talk_of(microphones(HOST, (*GUEST, (9.5, 10.3)), bleed_db=-20))

    assert share(talk.spans[0], ((9.5, 10.3),)) > 0.9
    assert share(talk.spans[1], ((9.5, 10.3),)) > 0.6
    assert share(talk.spans[1], ((8.0, 9.3), (10.6, 12.0))) < 0.01


def test_a_speaker_who_says_little_is_heard():
    long = ((1.0, 60.0), (64.0, 118.0))

    talk = talk_of(microphones(long, ((61.0, 62.5),), seconds=120.0, gains_db=(0, 12)))

    assert share(talk.spans[1], ((61.0, 62.5),)) > 0.9
    assert share(talk.spans[1], long) < 0.01
    assert share(talk.spans[0], ((61.0, 62.5),)) < 0.01


@pytest.mark.parametrize("gain_db", [0, 15])
def test_a_track_on_which_nobody_talks_is_no_echo_of_the_other(gain_db):
    talk = talk_of(microphones(HOST, (), gains_db=(0, gain_db)))

    assert talk.spans[1] == ()
    assert talk.copy_of == {1: 0}
    assert share(talk.spans[0], HOST) > 0.95


def test_the_same_sound_twice_is_taken_once():
    mixed = speech(HOST + GUEST, 25.0, 1)

    talk = talk_of([mixed, mixed * np.float32(0.5)])

    assert len(talk.copy_of) == 1
    assert sum(map(bool, talk.spans)) == 1


def test_a_silent_track_is_silent_and_disturbs_nobody():
    host = microphones(HOST, GUEST)[0]

    talk = talk_of([host, np.zeros(RATE_HZ, dtype=np.float32)])

    assert talk.spans[1] == ()
    assert talk.copy_of == {}
    assert share(talk.spans[0], HOST) > 0.95


def test_a_track_of_hiss_is_silent_and_disturbs_nobody():
    host, hiss = microphones(HOST, (), bleed_db=-100)

    talk = talk_of([host, hiss])

    assert talk.spans[1] == ()
    assert share(talk.spans[0], HOST) > 0.95


def test_three_people_are_told_apart():
    third = ((24.5, 29.0),)

    talk = talk_of(microphones(HOST, GUEST, third, seconds=30.0, gains_db=(0, -9, 6)))

    everybody = (HOST, GUEST, third)
    for place, spans in enumerate(talk.spans):
        assert share(spans, everybody[place]) > 0.95
        assert all(share(spans, other) < 0.01 for index, other in enumerate(everybody) if index != place)


def test_clean_tracks_without_any_bleed_or_hiss_are_left_alone():
    talk = talk_of([speech(HOST, 25.0, 1), speech(GUEST, 25.0, 2)])

    assert share(talk.spans[0], HOST) > 0.95
    assert share(talk.spans[1], GUEST) > 0.95
    assert share(talk.spans[0], GUEST) == 0.0


def test_a_track_that_starts_later_is_placed_in_the_recordings_time():
    host, guest = microphones(HOST, GUEST)
    late = guest[2 * RATE_HZ :]

    talk = talk_of([host, placed(late, 2.0, RATE_HZ)])

    assert share(talk.spans[1], GUEST) > 0.95
    assert talk.spans[1][0][0] == pytest.approx(GUEST[0][0], abs=0.1)


def test_outside_of_its_spans_a_track_is_silence_and_inside_it_is_untouched():
    sound = np.ones(4 * RATE_HZ, dtype=np.float32)

    out = gated(sound, ((1.0, 2.0), (2.2, 3.0)), RATE_HZ)

    assert len(out) == len(sound)
    assert np.all(out[: round(0.8 * RATE_HZ)] == 0)
    assert np.all(out[round(3.2 * RATE_HZ) :] == 0)
    assert np.all(out[RATE_HZ : 2 * RATE_HZ] == 1)
    assert np.all(out[round(2.2 * RATE_HZ) : 3 * RATE_HZ] == 1)


def test_levels_are_decibels_below_full_scale():
    tone = np.full(RATE_HZ, 0.1, dtype=np.float32)

    levels = levels_db(tone, RATE_HZ)

    assert len(levels) == round(1 / FRAME_S)
    assert levels[25] == pytest.approx(-20.0, abs=0.01)
    assert levels_db(np.zeros(RATE_HZ, dtype=np.float32), RATE_HZ).max() == -100.0
    assert len(levels_db(np.zeros(3, dtype=np.float32), RATE_HZ)) == 0
    assert who_talks([np.zeros(0), np.zeros(0)]).spans == ((), ())


def test_two_values_are_found_though_one_is_rare():
    values = np.concatenate([np.full(990, -20.0), np.full(10, 18.0)])

    assert two_levels(values) == pytest.approx((-20.0, 18.0))
    assert two_levels(np.full(5, 3.0)) == (3.0, 3.0)
    assert two_levels(np.zeros(0)) == (0.0, 0.0)
