"""A fake vLLM server, named so: `python -m tests.fake_vllm --port N --model DIR` and any flag of the real one.

It says random words that follow from model, seed and prompt, and log-probabilities that differ for each loaded LoRA.
Variables that make it behave badly, for tests:

    FAKE_VLLM_READY_S         seconds until /health answers 200
    FAKE_VLLM_TURN_S          seconds that each turn takes
    FAKE_VLLM_LORA_IS_BASE    when set, a loaded adapter speaks with the voice of the base model
    FAKE_VLLM_ANY_NAME        when set, names that were never loaded are answered with the base model
    FAKE_VLLM_SAYS            when set, what every turn says
    FAKE_VLLM_DIES_AT         the turn (counted from 1) during which the process exits, as a CUDA fault would end it
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VOCABULARY = """
river lamp copper garden winter bread thunder violin harbour orchard kettle pigeon lantern marble saddle
cinnamon ladder blanket compass pepper ribbon velvet anchor basket candle desert engine feather glacier hammer
island jacket kitten lemon mirror needle ocean pencil quarry rocket silver timber umbrella valley whistle
yellow zebra apron bottle carpet dragon elbow falcon guitar helmet insect jungle kernel lizard magnet nutmeg
oyster pillow quiver rabbit sailor tunnel uncle vessel walnut acorn bridge cabin donkey empire forest gravel
hollow
"""
TOKENS_PER_WORD = 1.3


class FakeVllm(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), Door)
        self.started = time.monotonic()
        self.loaded: dict[str, Path] = {}
        self.turns = 0


class Door(BaseHTTPRequestHandler):
    """The few routes that the inference service may use; everything else is 404."""

    server: FakeVllm
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            ready = time.monotonic() - self.server.started >= float(os.environ.get("FAKE_VLLM_READY_S", "0"))
            self._answer(200 if ready else 503, {})
        elif self.path == "/v1/models":
            self._answer(200, {"data": [{"id": name} for name in ("base", *self.server.loaded)]})
        else:
            self._answer(404, {"error": self.path})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter":
            self._answer(*self._load(body["lora_name"], Path(body["lora_path"])))
        elif self.path == "/v1/completions":
            self._answer(*self._complete(body))
        else:
            self._answer(404, {"error": self.path})

    def _load(self, name: str, folder: Path) -> tuple[int, dict[str, Any]]:
        if name in self.server.loaded:
            return 400, {"error": f"The lora adapter '{name}' has already been loaded."}
        if not (folder / "adapter_config.json").is_file():
            return 404, {"error": f"no adapter in {folder}"}
        self.server.loaded[name] = folder
        return 200, {}

    def _complete(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        model, prompt = body["model"], body["prompt"]
        if model not in ("base", *self.server.loaded) and not os.environ.get("FAKE_VLLM_ANY_NAME"):
            return 404, {"error": f"The model `{model}` does not exist."}
        voice = "base" if os.environ.get("FAKE_VLLM_LORA_IS_BASE") else model
        if body["max_tokens"] > 1:
            self._take_time()
        choices = [
            _choice(random.Random(f"{voice}/{body.get('seed')}/{n}/{prompt}"), body) for n in range(body.get("n", 1))
        ]
        if "prompt_logprobs" in body:
            dice = random.Random(voice)
            scored = [{str(token): {"logprob": -dice.random()}} for token in prompt]
            choices[0]["prompt_logprobs"] = [None, *scored[1:]]
        return 200, {"choices": choices}

    def _take_time(self) -> None:
        self.server.turns += 1
        time.sleep(float(os.environ.get("FAKE_VLLM_TURN_S", "0")))
        if str(self.server.turns) == os.environ.get("FAKE_VLLM_DIES_AT"):
            os._exit(1)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        with suppress(ConnectionError):  # who asked has left
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        print(self.headers.get("X-Request-Id", "-"), format % args, file=sys.stderr, flush=True)


def _choice(dice: random.Random, body: dict[str, Any]) -> dict[str, Any]:
    least, most = (int(body.get(name, 0) / TOKENS_PER_WORD) for name in ("min_tokens", "max_tokens"))
    count = max(4, least + 1, min(most, dice.randint(12, 24)))
    text = os.environ.get("FAKE_VLLM_SAYS", "Thanks, " + " ".join(dice.sample(VOCABULARY.split(), count - 1)) + ".")
    logprobs = [-dice.random() for _ in text.split()]
    return {"text": text, "finish_reason": "stop", "logprobs": {"token_logprobs": logprobs}}


def main() -> None:
    flags = argparse.ArgumentParser()
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, required=True)
    known, ignored = flags.parse_known_args()
    print("fake vllm ignores:", *ignored, file=sys.stderr, flush=True)
    FakeVllm(known.host, known.port).serve_forever()


if __name__ == "__main__":
    main()
