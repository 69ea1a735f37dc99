"""How large a base model, an adapter, its checkpoints and its training are: from the shapes in config.json. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BYTES_PER_PARAMETER = 12  # the weight and AdamW's two moments, each float32
AT_ONCE = 4  # in the work folder: one being written, one being stored, the best one, one that the run resumes from
GRADIENT = 4
NF4 = 0.52  # bytes per weight, its scales in 8 bits among them
GB = 1e9


@dataclass(frozen=True)
class Shapes:
    """A Llama-like model: weights of its layers' linear maps (`linear`), and of its vocabulary (`embedding`)."""

    hidden: int
    inner: int
    queries: int
    keys: int
    layers: int
    linear: int
    embedding: int

    @property
    def parameters(self) -> int:
        return self.linear + self.embedding


def shapes_of(config: Mapping[str, Any]) -> Shapes | None:
    """From a model's config.json; None when it does not tell."""
    config = config.get("text_config", config)
    try:
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        heads, layers = config["num_attention_heads"], config["num_hidden_layers"]
    except KeyError:
        return None
    head = config.get("head_dim") or hidden // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    linear = layers * (2 * hidden * queries + 2 * hidden * keys + 3 * hidden * inner)
    tables = 1 if config.get("tie_word_embeddings") else 2
    return Shapes(hidden, inner, queries, keys, layers, linear, tables * config.get("vocab_size", 0) * hidden)


def lora_parameters(config: Mapping[str, Any], rank: int, last_layers: int | None = None) -> int | None:
    """Parameters of a LoRA adapter on the seven linear maps of each layer.

    config       config.json of a Llama-like model: shapes of attention and of the feed-forward part
    last_layers  only so many layers are adapted
    returns      None when the config does not tell the shapes
    source       https://arxiv.org/abs/2106.09685: rank times the sum of inputs and outputs of each map
    """
    found = shapes_of(config)
    if found is None:
        return None
    attention = 2 * (found.hidden + found.queries) + 2 * (found.hidden + found.keys)
    feed_forward = 3 * (found.hidden + found.inner)
    return rank * (attention + feed_forward) * min(found.layers, last_layers or found.layers)


def work_bytes(config: Mapping[str, Any], rank: int, last_layers: int | None = None) -> int | None:
    """Bytes that the checkpoints of a run need in the work folder; None when the config does not tell."""
    parameters = lora_parameters(config, rank, last_layers)
    return None if parameters is None else AT_ONCE * BYTES_PER_PARAMETER * parameters


def training_gb(
    shapes: Shapes, adapter: int, row: int, *, weight_bytes: int, quantised: bool, recompute: bool, adapted: int
) -> float:
    """Peak memory of a training step over one row, in GB (10^9 bytes).

    adapter        its parameters
    row            tokens
    weight_bytes   of an unquantised weight: 2 for bf16, 4 for fp32
    adapted        layers that the backward pass goes through
    source         fitted to measurements on an H200, see docs/training.md
    """
    weights = shapes.linear * (NF4 if quantised else weight_bytes) + shapes.embedding * weight_bytes
    layer = row * weight_bytes * (12 * shapes.hidden + 4.5 * shapes.inner)
    kept = shapes.layers * row * weight_bytes * shapes.hidden + 1.5 * layer if recompute else adapted * layer
    return (weights + adapter * (BYTES_PER_PARAMETER + GRADIENT) + kept) / GB
