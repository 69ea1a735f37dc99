"""Who talks when, from voice embeddings: clean windows -> voices -> one voice per window -> spans. Pure arrays.

An interview has few, known voices, and plain threshold clustering hears ghosts in laughs, breaths and window edges. So:
cut average linkage into many clusters, set the tiny ones aside, merge what is left by centroid until the expected
number of voices remains, refine by k-means, and let Viterbi follow the voices through time with a cost for every
change. Of the tiny ones only those come back that together are clearly another voice: somebody who says little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from shared.errors import BadAudioError

FIRST_CUT = 12
SMALLEST_SHARE = 0.04
SAME_VOICE_COSINE = 0.87
FEWEST_WINDOWS = 10  # two seconds of clean speech are the least a voice needs
RARE_VOICE_COSINE = 0.78  # a rare voice is this far from all others: laughs and breaths are nearer to whose they are
MOST_VOICES = 4  # when nobody said how many there are
LINKAGE_LIMIT = 4000  # windows; linkage takes memory by the square
KMEANS_ROUNDS = 3
CLEAN_SPEECH, CLEAN_OVERLAP = 0.8, 0.25
SCORE_SCALE = 10.0
SWITCH_COST, SWITCH_COST_AFTER_GAP, GAP_S = 2.0, 0.5, 0.5
ONSET, OFFSET, SHORTEST_SPEECH_S = 0.5, 0.36, 0.2


NO_VOICE = "no voice can be told from the noise; upload a recording in which somebody talks"


@dataclass(frozen=True)
class Windows:
    """Voice embeddings of short windows, in order of time.

    embeddings   (W, D) float32, unit length
    centres_s    (W,) float64, ascending
    speech       (W,) how sure it is that somebody talks at the centre, 0 to 1
    overlap      (W,) how sure it is that a second person talks too, 0 to 1
    """

    embeddings: np.ndarray
    centres_s: np.ndarray
    speech: np.ndarray
    overlap: np.ndarray


@dataclass(frozen=True)
class Span:
    """One voice, for a while."""

    start_s: float
    end_s: float
    voice: int


def speech_regions(speech: np.ndarray, frame_s: float) -> np.ndarray:
    """Where somebody talks, by hysteresis.

    speech    (F,) 0 to 1 per frame
    returns   (R, 2) start and end in seconds, at least SHORTEST_SPEECH_S long
    """
    regions: list[tuple[float, float]] = []
    start: int | None = None
    for frame, level in enumerate(np.append(speech, 0.0)):
        if start is None and level > ONSET:
            start = frame
        elif start is not None and level < OFFSET:
            if (frame - start) * frame_s >= SHORTEST_SPEECH_S:
                regions.append((start * frame_s, frame * frame_s))
            start = None
    return np.array(regions, dtype=np.float64).reshape(-1, 2)


def centres_in(regions: np.ndarray, hop_s: float) -> np.ndarray:
    """(W,) centres of the windows to embed: a grid of `hop_s` in each region, its middle if the region is shorter."""
    grids = [np.arange(start + hop_s / 2, end, hop_s) for start, end in regions]
    return np.concatenate([np.zeros(0), *grids])


def find_voices(windows: Windows, speakers: int) -> np.ndarray:
    """Centroids of the voices.

    speakers   how many people talk; 0 finds out (at most MOST_VOICES)
    returns    (K, D) unit length, K = `speakers` unless there is too little speech for so many
    raises     BadAudioError when there is no clean speech at all
    """
    clean = windows.embeddings[_clean(windows)]
    if len(clean) == 0:
        clean = windows.embeddings
    if len(clean) == 0:
        raise BadAudioError(NO_VOICE)
    voices = _voices_of(_first_cut(clean), speakers)
    while True:
        centroids = np.stack([_centroid(voice) for voice in voices])
        for _ in range(KMEANS_ROUNDS):
            nearest = (clean @ centroids.T).argmax(axis=1)
            centroids = centroids_of(clean, nearest, centroids)
        voices = _merged([clean[nearest == voice] for voice in np.unique(nearest)], until=_different(speakers))
        if len(voices) == len(centroids):
            return centroids


def centroids_of(embeddings: np.ndarray, labels: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Each voice's mean direction.

    embeddings   (W, D)
    labels       (W,) int
    otherwise    (K, D), for voices without a window
    returns      (K, D) unit length
    """
    members = [embeddings[labels == voice] for voice in range(len(otherwise))]
    return np.stack([_centroid(own) if len(own) else old for own, old in zip(members, otherwise, strict=True)])


def follow_voices(windows: Windows, centroids: np.ndarray) -> np.ndarray:
    """The most plausible voice of each window, by Viterbi: score minus a cost for every change of voice.

    centroids   (K, D)
    returns     (W,) int, index into `centroids`
    """
    scores = SCORE_SCALE * (windows.embeddings @ centroids.T)
    gaps_s = np.diff(windows.centres_s, prepend=windows.centres_s[:1])
    came_from = np.zeros(scores.shape, dtype=np.int64)
    best = scores[0].copy()
    for index in range(1, len(scores)):
        cost = SWITCH_COST_AFTER_GAP if gaps_s[index] > GAP_S else SWITCH_COST
        leader = int(best.argmax())
        stay_or_switch = np.where(best >= best[leader] - cost, np.arange(len(best)), leader)
        came_from[index] = stay_or_switch
        best = scores[index] + np.where(stay_or_switch == np.arange(len(best)), best, best[leader] - cost)
    path = np.zeros(len(scores), dtype=np.int64)
    path[-1] = best.argmax()
    for index in range(len(scores) - 1, 0, -1):
        path[index - 1] = came_from[index, path[index]]
    return path


def spans_of(windows: Windows, labels: np.ndarray, regions: np.ndarray) -> list[Span]:
    """Each speech region, cut where the voice changes: half-way between the two windows.

    labels    (W,) int from `follow_voices`
    regions   (R, 2) seconds from `speech_regions`; each holds the windows whose centres lie in it
    """
    spans: list[Span] = []
    for start_s, end_s in regions:
        inside = np.flatnonzero((windows.centres_s >= start_s) & (windows.centres_s < end_s))
        if len(inside) == 0:
            continue
        changes = np.flatnonzero(np.diff(labels[inside])) + 1
        cuts_s = [(windows.centres_s[inside[c - 1]] + windows.centres_s[inside[c]]) / 2 for c in changes]
        edges_s = [start_s, *cuts_s, end_s]
        for piece, piece_start_s, piece_end_s in zip(np.split(inside, changes), edges_s, edges_s[1:], strict=False):
            spans.append(Span(float(piece_start_s), float(piece_end_s), int(labels[piece[0]])))
    return spans


def likeness(centroids: np.ndarray) -> np.ndarray:
    """(K, K) cosine between voices, -1 or less on the diagonal: nobody is like themselves here."""
    return centroids @ centroids.T - 2.0 * np.eye(len(centroids))


def cosines_to_voices(fine: Windows, spans: Sequence[Span], centroids: np.ndarray) -> np.ndarray:
    """How much each window sounds like each voice, as windows of its own length do.

    Shorter windows sound a bit unlike longer ones of the same voice, so each voice's centroid is made again from those
    clean ones that lie in its spans.

    fine        windows shorter and closer together than those that found the voices
    centroids   (K, D), for a voice without any such window
    returns     (W, K)
    """
    cosines: np.ndarray = fine.embeddings @ voices_in(fine, spans, centroids).T
    return cosines


def voices_in(windows: Windows, spans: Sequence[Span], otherwise: np.ndarray | None = None) -> np.ndarray:
    """Centroids of the voices that talk in `spans`, from the clean windows there.

    otherwise   (K, D) for voices without any; where there is none, all windows are their one voice
    returns     (K, D) unit length
    raises      BadAudioError when there is no window at all
    """
    if len(windows.centres_s) == 0:
        raise BadAudioError(NO_VOICE)
    labels = np.full(len(windows.centres_s), -1)
    for span in spans:
        first, last = np.searchsorted(windows.centres_s, (span.start_s, span.end_s))
        labels[first:last] = span.voice
    if otherwise is None:
        count = max((span.voice for span in spans), default=0) + 1
        otherwise = np.repeat(_centroid(windows.embeddings)[None], count, axis=0)
        otherwise = centroids_of(windows.embeddings, labels, otherwise)
    clean = _clean(windows)
    return centroids_of(windows.embeddings[clean], labels[clean], otherwise)


def miscounted(windows: Windows, centroids: np.ndarray, speakers: int) -> list[str]:
    """What a person should know where the voices that can be told apart are more or fewer than they told us.

    centroids   (K, D) of `find_voices`, which keeps to the number that was told
    speakers    what was told; 0 if nothing was
    """
    heard = len(find_voices(windows, 0)) if speakers else 0
    if heard > len(centroids):
        return [f"{heard} voices seem to talk, {speakers} were told: check the number of speakers"]
    if heard < speakers:
        return [f"only {heard} voice(s) can be told apart surely, {speakers} were told: two may be one person"]
    return []


def _clean(windows: Windows) -> np.ndarray:
    """(W,) bool, where surely one person talks."""
    return (windows.speech > CLEAN_SPEECH) & (windows.overlap < CLEAN_OVERLAP)


def _first_cut(embeddings: np.ndarray) -> list[np.ndarray]:
    if len(embeddings) < 2:
        return [embeddings]
    picked = embeddings[np.linspace(0, len(embeddings) - 1, min(len(embeddings), LINKAGE_LIMIT)).astype(int)]
    labels = fcluster(linkage(picked, "average", metric="cosine"), FIRST_CUT, "maxclust")
    return [picked[labels == label] for label in np.unique(labels)]


def _voices_of(clusters: list[np.ndarray], speakers: int) -> list[np.ndarray]:
    """The windows of each voice, as far as many small clusters tell; speakers as in `find_voices`.

    Where fewer are heard than there must be, voices are told apart that we would have held for one.
    """
    smallest = SMALLEST_SHARE * sum(map(len, clusters))
    common = [cluster for cluster in clusters if len(cluster) >= smallest]
    voices = sorted(_merged(common, until=_different(0)), key=len, reverse=True)
    tiny = [cluster for cluster in clusters if len(cluster) < smallest]
    while len(voices) > max(speakers, 1) and len(voices[-1]) < FEWEST_WINDOWS:
        tiny.append(voices.pop())
    rare = _rare_voices(voices, tiny)
    voices += rare[: max(speakers - len(voices), 0)] if speakers else rare
    if len(voices) < speakers:
        voices = common
    return _merged(voices, until=lambda count, alike: count <= (speakers or MOST_VOICES))


def _different(speakers: int) -> Callable[[int, float], bool]:
    """Whether the two most alike of so many voices are two people, or have to be."""
    return lambda count, alike: alike < SAME_VOICE_COSINE or count <= speakers


def _rare_voices(voices: list[np.ndarray], tiny: list[np.ndarray]) -> list[np.ndarray]:
    """What tiny clusters make up voices of their own, and no laughs, breaths or window edges of the common ones."""
    known = np.stack([_centroid(voice) for voice in voices])
    strange = [cluster for cluster in tiny if (known @ _centroid(cluster)).max() < RARE_VOICE_COSINE]
    together = _merged(strange, until=lambda count, alike: alike < RARE_VOICE_COSINE)
    return sorted((cluster for cluster in together if len(cluster) >= FEWEST_WINDOWS), key=len, reverse=True)


def _merged(clusters: list[np.ndarray], until: Callable[[int, float], bool]) -> list[np.ndarray]:
    """Merge the two most alike clusters, again and again.

    until   told how many clusters there are and how alike the two are; True ends it
    """
    while len(clusters) > 1:
        alike = likeness(np.stack([_centroid(cluster) for cluster in clusters]))
        first, second = np.unravel_index(alike.argmax(), alike.shape)
        if until(len(clusters), float(alike[first, second])):
            break
        together = np.concatenate([clusters[first], clusters[second]])
        clusters = [cluster for index, cluster in enumerate(clusters) if index not in (first, second)] + [together]
    return clusters


def _centroid(embeddings: np.ndarray) -> np.ndarray:
    mean = embeddings.mean(axis=0)
    return mean / np.linalg.norm(mean)
