"""Who talks when, from voice embeddings: clean windows -> voices -> one voice per window -> spans. Pure arrays.

An interview has few, known voices, and plain threshold clustering hears ghosts in laughs, breaths and window edges. So:
cut average linkage into many clusters, drop the tiny ones, merge what is left by centroid until the expected number of
voices remains, refine by k-means, and let Viterbi follow the voices through time with a cost for every change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from shared.errors import BadAudioError

FIRST_CUT = 12
SMALLEST_SHARE = 0.04
SAME_VOICE_COSINE = 0.87
MOST_VOICES = 4  # when nobody said how many there are
LINKAGE_LIMIT = 4000  # windows; linkage takes memory by the square
KMEANS_ROUNDS = 3
CLEAN_SPEECH, CLEAN_OVERLAP = 0.8, 0.25
SCORE_SCALE = 10.0
SWITCH_COST, SWITCH_COST_AFTER_GAP, GAP_S = 2.0, 0.5, 0.5
ONSET, OFFSET, SHORTEST_SPEECH_S = 0.5, 0.36, 0.2


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
    """One voice, for a while. `margin` is how much nearer its own voice is than the next one (cosine difference)."""

    start_s: float
    end_s: float
    voice: int
    margin: float


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


def find_voices(windows: Windows, speakers: int | None) -> np.ndarray:
    """Centroids of the voices.

    speakers   how many people talk; None finds out (at most MOST_VOICES)
    returns    (K, D) unit length, K = `speakers` unless there is too little speech for so many
    raises     BadAudioError when there is no clean speech at all
    """
    clean = windows.embeddings[(windows.speech > CLEAN_SPEECH) & (windows.overlap < CLEAN_OVERLAP)]
    if len(clean) == 0:
        clean = windows.embeddings
    if len(clean) == 0:
        raise BadAudioError("no voice can be told from the noise; upload a recording in which somebody talks")
    clusters = _without_tiny(_first_cut(clean))
    centroids = np.stack([_centroid(cluster) for cluster in _merged(clusters, speakers)])
    for _ in range(KMEANS_ROUNDS):
        nearest = (clean @ centroids.T).argmax(axis=1)
        members = [clean[nearest == voice] for voice in range(len(centroids))]
        centroids = np.stack([_centroid(own) if len(own) else old for own, old in zip(members, centroids, strict=True)])
    return centroids


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


def spans_of(windows: Windows, labels: np.ndarray, centroids: np.ndarray, regions: np.ndarray) -> list[Span]:
    """Each speech region, cut where the voice changes: half-way between the two windows.

    labels    (W,) int from `follow_voices`
    regions   (R, 2) seconds from `speech_regions`; each holds the windows whose centres lie in it
    """
    margins = _margins(windows.embeddings @ centroids.T, labels)
    spans: list[Span] = []
    for start_s, end_s in regions:
        inside = np.flatnonzero((windows.centres_s >= start_s) & (windows.centres_s < end_s))
        if len(inside) == 0:
            continue
        changes = np.flatnonzero(np.diff(labels[inside])) + 1
        cuts_s = [(windows.centres_s[inside[c - 1]] + windows.centres_s[inside[c]]) / 2 for c in changes]
        edges_s = [start_s, *cuts_s, end_s]
        for piece, piece_start_s, piece_end_s in zip(np.split(inside, changes), edges_s, edges_s[1:], strict=False):
            margin = float(margins[piece].mean())
            spans.append(Span(float(piece_start_s), float(piece_end_s), int(labels[piece[0]]), margin))
    return spans


def likeness(centroids: np.ndarray) -> np.ndarray:
    """(K, K) cosine between voices, zero on the diagonal."""
    return centroids @ centroids.T * (1.0 - np.eye(len(centroids)))


def _first_cut(embeddings: np.ndarray) -> list[np.ndarray]:
    if len(embeddings) < 2:
        return [embeddings]
    picked = embeddings[np.linspace(0, len(embeddings) - 1, min(len(embeddings), LINKAGE_LIMIT)).astype(int)]
    labels = fcluster(linkage(picked, "average", metric="cosine"), FIRST_CUT, "maxclust")
    return [picked[labels == label] for label in np.unique(labels)]


def _without_tiny(clusters: list[np.ndarray]) -> list[np.ndarray]:
    total = sum(map(len, clusters))
    return [cluster for cluster in clusters if len(cluster) >= SMALLEST_SHARE * total]


def _merged(clusters: list[np.ndarray], speakers: int | None) -> list[np.ndarray]:
    while len(clusters) > 1:
        alike = likeness(np.stack([_centroid(cluster) for cluster in clusters]))
        first, second = np.unravel_index(alike.argmax(), alike.shape)
        if speakers and len(clusters) <= speakers:
            break
        if not speakers and alike[first, second] < SAME_VOICE_COSINE and len(clusters) <= MOST_VOICES:
            break
        together = np.concatenate([clusters[first], clusters[second]])
        clusters = [cluster for index, cluster in enumerate(clusters) if index not in (first, second)] + [together]
    return clusters


def _centroid(embeddings: np.ndarray) -> np.ndarray:
    mean = embeddings.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _margins(cosines: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(W,) cosine to the chosen voice minus that to the nearest other one; 1 when there is no other."""
    if cosines.shape[1] == 1:
        return np.ones(len(cosines))
    rows = np.arange(len(cosines))
    others = cosines.copy()
    others[rows, labels] = -np.inf
    return cosines[rows, labels] - others.max(axis=1)
