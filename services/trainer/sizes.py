"""How large the checkpoints of a run will be: from the base model's shapes and the adapter's rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BYTES_PER_PARAMETER = 12  # the weight and AdamW's two moments, each float32
AT_ONCE = 3  # in the work folder: one being written, one being stored, one that the run resumes from


def lora_parameters(config: Mapping[str, Any], rank: int, last_layers: int | None = None) -> int | None:
    """Parameters of a LoRA adapter on the seven linear maps of each layer.

    config       config.json of a Llama-like model: shapes of attention and of the feed-forward part
    last_layers  only so many layers are adapted
    returns      None when the config does not tell the shapes
    source       https://arxiv.org/abs/2106.09685: rank times the sum of inputs and outputs of each map
    """
    config = config.get("text_config", config)
    try:
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        heads, layers = config["num_attention_heads"], config["num_hidden_layers"]
    except KeyError:
        return None
    head = config.get("head_dim") or hidden // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    attention = 2 * (hidden + queries) + 2 * (hidden + keys)
    feed_forward = 3 * (hidden + inner)
    return rank * (attention + feed_forward) * min(layers, last_layers or layers)


def work_bytes(config: Mapping[str, Any], rank: int, last_layers: int | None = None) -> int | None:
    """Bytes that the checkpoints of a run need in the work folder; None when the config does not tell."""
    parameters = lora_parameters(config, rank, last_layers)
    return None if parameters is None else AT_ONCE * BYTES_PER_PARAMETER * parameters
