"""Figures of a training run -> a picture. Drawn in the engine's child, which is the only caller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shared.schemas import MetricPoint


def draw_losses(points: Sequence[MetricPoint], steps_per_epoch: float, kept: int, path: Path) -> None:
    """Training and held-out loss over steps; ends of epochs and the checkpoint that was kept are marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, losses in (
        ("training", [(point.step, point.train_loss) for point in points if point.train_loss is not None]),
        ("held-out guests", [(point.step, point.eval_loss) for point in points if point.eval_loss is not None]),
    ):
        if losses:
            axes.plot(*zip(*losses, strict=True), marker="o", markersize=3, label=name)
    for epoch, step in enumerate(epoch_ends(points[-1].step, steps_per_epoch), start=1):
        axes.axvline(step, color="grey", linestyle=":", linewidth=1)
        axes.annotate(f"epoch {epoch}", (step, 1), xycoords=("data", "axes fraction"), fontsize=7, ha="right", va="top")
    axes.axvline(kept, color="tab:green", linewidth=1, label=f"kept: step {kept}")
    axes.set(xlabel="step", ylabel="loss per token", title="Loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def epoch_ends(steps: int, steps_per_epoch: float) -> list[float]:
    """The steps at which all examples have been seen once more."""
    return [epoch * steps_per_epoch for epoch in range(1, int(steps / steps_per_epoch + 1e-9) + 1)]
