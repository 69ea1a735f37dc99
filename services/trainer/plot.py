"""Figures of a training run -> a picture. Drawn in the engine's child, which is the only caller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shared.schemas import MetricPoint


def draw_losses(points: Sequence[MetricPoint], path: Path) -> None:
    """Training and held-out loss over steps."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, losses in (
        ("training", [(point.step, point.train_loss) for point in points if point.train_loss is not None]),
        ("held-out guests", [(point.step, point.eval_loss) for point in points if point.eval_loss is not None]),
    ):
        axes.plot(*zip(*losses, strict=True), marker="o", markersize=3, label=name)
    axes.set(xlabel="step", ylabel="loss per token", title="Loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
