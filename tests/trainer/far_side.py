"""A far side for tests/trainer/test_engine.py: the protocol of the training engine, counting instead of learning."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from services.trainer.plan import Plan, Trained
from shared.engines import Reporter, serve
from shared.schemas import MetricPoint

STEP_S = 0.3


def train(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    plan = Plan.model_validate(arguments["plan"])
    points = list(plan.metrics) or [MetricPoint(step=0, tokens=0, eval_loss=3.0)]
    for step in range(points[-1].step + 1, plan.request.steps + 1):
        time.sleep(STEP_S)
        points.append(MetricPoint(step=step, tokens=step, train_loss=2.0, eval_loss=2.0))
        reporter.progress("training", step, plan.request.steps, "steps")
        if step % plan.request.checkpoint_every == 0 or step == plan.request.steps or plan.save_now.exists():
            plan.save_now.unlink(missing_ok=True)
            folder = plan.work / "run" / f"checkpoint-{step}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "state.json").write_text(json.dumps(step))
            reporter.event(checkpoint=str(folder), step=step, metrics=[point.model_dump() for point in points])
    parameters = {"cpu_last_layers": arguments["cpu_last_layers"], "device": arguments["device"]}
    return Trained(folder=plan.work, metrics=tuple(points), versions={}, parameters=parameters).model_dump(mode="json")


def fetch(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    name, revision = arguments["model"].split("@")
    return {"folder": str(Path("hub-cache")), "name": name, "revision": revision, "context": 32768}


if __name__ == "__main__":
    serve({"train": train, "fetch": fetch})
