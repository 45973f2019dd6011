"""The learning curves as a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit_runtime.bundle import replacing, writable_file
from edgekit_runtime.errors import OptionError, require

if TYPE_CHECKING:
    from edgekit_converters.training.loop import Trained

SUFFIXES = (".svg", ".png", ".pdf")
BLUE, ORANGE, GREEN, GREY = "#3b6fb6", "#d9822b", "#2e8b57", "#8a8f98"


def check_picture(path: Path) -> None:
    """Says before the work whether a picture can be drawn there.

    Raises:
        OptionError: Its suffix is none of SUFFIXES.
        FileError: The place cannot be written to.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise OptionError(f"--curves takes a file that ends in {', '.join(SUFFIXES)}, not {path.name}")
    writable_file(path)
    require("matplotlib", extra="train", purpose="drawing learning curves")


def draw_curves(trained: Trained, path: Path, *, title: str) -> None:
    """Draws loss, held-out accuracy and learning rate over the epochs, the best one marked.

    Raises:
        FileError: It cannot be written; nothing is left behind.
    """
    require("matplotlib", extra="train", purpose="drawing learning curves")
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 10, "svg.hashsalt": "edgekit", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 6.4), layout="constrained")
        FigureCanvasAgg(figure)
        loss, accuracy, rate = figure.subplots(3, 1, sharex=True, height_ratios=(4, 3, 1.6))
        _draw(trained, loss, accuracy, rate)
        figure.align_ylabels()
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        picture = io.BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(picture, format=path.suffix[1:], dpi=150, metadata=metadata)
    with replacing(path) as file:
        file.write(picture.getvalue())


def _draw(trained: Trained, loss: Any, accuracy: Any, rate: Any) -> None:
    epochs = [epoch.epoch for epoch in trained.curve]
    best = trained.curve[trained.best_epoch - 1]
    steps = [point.epoch for point in trained.trace]
    loss.plot(steps, [point.loss for point in trained.trace], color=BLUE, alpha=0.35, linewidth=1)
    loss.plot(epochs, [epoch.loss for epoch in trained.curve], "o-", color=BLUE, label="training, mean of the epoch")
    loss.plot(epochs, [epoch.held_out_loss for epoch in trained.curve], "o-", color=ORANGE, label="held out")
    loss.set_ylabel("loss")
    loss.set_ylim(bottom=0)
    loss.legend(frameon=False)
    accuracy.plot(epochs, [100 * epoch.accuracy for epoch in trained.curve], "o-", color=GREEN)
    accuracy.plot([best.epoch], [100 * best.accuracy], "o", color=GREEN, markersize=12, markerfacecolor="none")
    accuracy.annotate(
        f"{best.accuracy:.2%} in epoch {best.epoch}",
        (best.epoch, 100 * best.accuracy),
        xytext=(0, -20),
        textcoords="offset points",
        ha="right" if best.epoch > len(epochs) / 2 else "left",
        color=GREEN,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )
    accuracy.set_ylabel("held-out accuracy, %")
    rate.plot(steps, [point.learning_rate for point in trained.trace], color=GREY)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("epoch")
    rate.set_ylim(bottom=0)
    for axes in (loss, accuracy, rate):
        axes.axvline(best.epoch, color=GREEN, alpha=0.4, linewidth=1, linestyle="--")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.2)
        axes.margins(x=0.03)
    rate.xaxis.get_major_locator().set_params(integer=True)
