"""The clustering, on made-up voices: points around directions, as embeddings of one voice are."""

from __future__ import annotations

import numpy as np
import pytest

from services.transcription.diarisation import (
    Span,
    Windows,
    centres_in,
    cosines_to_voices,
    find_voices,
    follow_voices,
    miscounted,
    spans_of,
    speech_regions,
    voices_in,
)
from shared.errors import BadAudioError
from tests.transcription.conftest import unit

HOP_S = 0.2


def conversation(turns, *, size=64, noise=0.05, seed=1, gap_s=0.0) -> tuple[Windows, np.ndarray]:
    """Windows of (voice, seconds) turns and the true voice of each window; voices are random directions."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(10, size))
    truth = np.concatenate([np.full(int(seconds / HOP_S), voice) for voice, seconds in turns])
    points = directions[truth] + noise * np.sqrt(size) * random.normal(size=(len(truth), size))
    embeddings = points / np.linalg.norm(points, axis=1, keepdims=True)
    sure = np.ones(len(truth))
    return Windows(embeddings, np.arange(len(truth)) * HOP_S + HOP_S / 2, sure, 0 * sure), truth


def agreement(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of windows on the right side, for two voices."""
    same = (labels == truth).mean()
    return max(same, 1 - same)


def test_two_voices_are_followed_through_a_conversation():
    windows, truth = conversation([(0, 10), (1, 20), (0, 6), (1, 30), (0, 4)])

    centroids = find_voices(windows, 2)
    labels = follow_voices(windows, centroids)

    assert len(centroids) == 2
    assert agreement(labels, truth) > 0.98


def test_a_clump_of_laughter_is_no_third_voice_and_does_not_lump_the_two_together():
    windows, truth = conversation([(0, 40), (1, 40), (2, 2), (0, 20), (1, 20)])

    labels = follow_voices(windows, find_voices(windows, 2))

    talk = truth < 2
    assert agreement(labels[talk], truth[talk]) > 0.98


def test_without_a_number_the_voices_are_counted():
    windows, _ = conversation([(0, 30), (1, 30), (2, 30)])

    assert len(find_voices(windows, 0)) == 3


def test_one_voice_is_one_voice_when_nobody_said_how_many():
    windows, _ = conversation([(0, 60)])

    assert len(find_voices(windows, 0)) == 1


@pytest.mark.parametrize("speakers", [2, 0], ids=["told", "not told"])
def test_a_voice_with_seconds_of_speech_is_not_lost(speakers):
    windows, truth = conversation([(0, 60), (1, 3), (0, 60)])

    labels = follow_voices(windows, find_voices(windows, speakers))

    assert (labels[truth == 1] != labels[0]).all() and (labels[truth == 0] == labels[0]).all()


def test_a_breath_is_no_voice():
    windows, _ = conversation([(0, 30), (1, 1), (0, 30)])

    assert len(find_voices(windows, 0)) == 1


def test_two_halves_of_one_voice_are_merged_when_nobody_said_how_many():
    random = np.random.default_rng(3)
    voice, room = random.normal(size=(2, 64))
    points = np.concatenate([voice + 0.5 * room * side + 0.3 * random.normal(size=(150, 64)) for side in (-0.5, 0.5)])
    embeddings = points / np.linalg.norm(points, axis=1, keepdims=True)
    windows = Windows(embeddings, np.arange(300) * HOP_S, np.ones(300), np.zeros(300))

    assert len(find_voices(windows, 0)) == 1
    assert len(find_voices(windows, 2)) == 2


@pytest.mark.parametrize(
    ("told", "warning"), [(2, "3 voices seem to talk, 2 were told"), (3, None), (4, "only 3 voice"), (0, None)]
)
def test_a_number_that_does_not_fit_the_voices_is_doubted(told, warning):
    windows, _ = conversation([(0, 30), (1, 30), (2, 30)])

    warnings = miscounted(windows, find_voices(windows, told), told)

    assert [text[: len(warning or "")] for text in warnings] == ([warning] if warning else [])


def test_shorter_windows_are_compared_with_their_own_kind():
    windows, truth = conversation([(0, 20), (1, 20)])
    spans = [Span(0.0, 20.0, 0), Span(20.0, 40.0, 1)]
    unlike = np.stack([unit(*row) for row in np.random.default_rng(9).normal(size=(2, 64))])

    cosines = cosines_to_voices(windows, spans, unlike)

    assert cosines.shape == (len(truth), 2)
    assert (cosines.argmax(axis=1) == truth).mean() > 0.98


def test_voices_of_given_spans_are_the_means_of_what_is_said_there():
    windows, truth = conversation([(0, 20), (1, 20)])

    voices = voices_in(windows, [Span(0.0, 20.0, 1), Span(20.0, 40.0, 0)])

    assert ((windows.embeddings @ voices.T).argmax(axis=1) == 1 - truth).mean() > 0.98


def test_a_single_odd_window_does_not_change_the_speaker():
    windows, _ = conversation([(0, 10), (1, 10), (0, 10)])
    centroids = find_voices(windows, 2)
    before = follow_voices(windows, centroids)
    windows.embeddings[25] = 0.52 * centroids[1 - before[25]] + 0.48 * centroids[before[25]]

    assert (follow_voices(windows, centroids) == before).all()


def test_windows_with_noise_or_two_people_do_not_shape_the_voices():
    windows, truth = conversation([(0, 20), (1, 20), (2, 10)])
    overlap = np.where(truth == 2, 0.9, 0.0)

    centroids = find_voices(Windows(windows.embeddings, windows.centres_s, windows.speech, overlap), 2)

    assert agreement(follow_voices(windows, centroids)[truth < 2], truth[truth < 2]) > 0.98


def test_without_any_window_the_error_names_the_fix():
    nothing = np.zeros(0)

    with pytest.raises(BadAudioError, match="somebody talks"):
        find_voices(Windows(np.zeros((0, 8)), nothing, nothing, nothing), 2)


def test_hours_of_windows_take_bounded_memory():
    windows, _ = conversation([(0, 1500), (1, 1500)], size=8)

    assert len(find_voices(windows, 2)) == 2


def test_speech_starts_above_the_onset_and_goes_on_until_below_the_offset():
    speech = np.array([0.1, 0.6, 0.4, 0.4, 0.3, 0.1, 0.9, 0.1])

    regions = speech_regions(speech, frame_s=0.1)

    assert regions == pytest.approx(np.array([[0.1, 0.4]]))  # the second one is shorter than 0.2 s


def test_speech_until_the_end_of_the_recording_is_closed_there():
    assert speech_regions(np.ones(10), frame_s=0.1) == pytest.approx(np.array([[0.0, 1.0]]))


def test_every_region_gets_a_window():
    centres_s = centres_in(np.array([[0.0, 1.0], [2.0, 2.2]]), HOP_S)

    assert centres_s == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9, 2.1])


def test_spans_are_cut_half_way_between_windows_of_different_voices():
    centroids = np.eye(2)
    windows = Windows(centroids[[0, 0, 1, 1]], np.array([0.1, 0.3, 0.5, 1.1]), np.ones(4), np.zeros(4))

    spans = spans_of(windows, np.array([0, 0, 1, 1]), np.array([[0.0, 0.6], [1.0, 1.2]]))

    assert [span.voice for span in spans] == [0, 1, 1]
    assert [span.start_s for span in spans] == pytest.approx([0.0, 0.4, 1.0])
    assert [span.end_s for span in spans] == pytest.approx([0.4, 0.6, 1.2])
