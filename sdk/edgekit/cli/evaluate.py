"""``edgekit eval``."""

from __future__ import annotations

from edgekit.cli.options import BundlePath, DataPath, EngineName, Json, LabelColumn, TextColumn, Threads
from edgekit.cli.terminal import Terminal, native_output_hidden, percent, print_json, print_result
from edgekit.evaluation import evaluate
from edgekit_converters.data import DataOptions
from edgekit_runtime import load


def command(
    bundle: BundlePath,
    data: DataPath,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    engine: EngineName = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Measure accuracy, precision, recall and F1 on labelled text.

    \b
    Example:
      $ edgekit eval model.edgekit dev.tsv
      $ edgekit eval model.edgekit reviews.csv --text-column body --label-column 3 --json
    """
    with native_output_hidden():
        classify = load(bundle, engine=engine, threads=threads)
    with classify, Terminal() as terminal:
        terminal.stage(f"Classifying {data}")
        result = evaluate(classify, data, DataOptions(text_column, label_column), progress=terminal.progress)
        labels = classify.labels
    if json:
        print_json(result)
        return
    print_result(
        f"accuracy {percent(result.accuracy)}  precision {percent(result.precision)}  recall {percent(result.recall)}  "
        f"f1 {percent(result.f1)}  ({result.examples} texts, {result.engine}, macro averages)"
    )
    with Terminal() as terminal:
        rows = [
            [f"is {label}", *(str(count) for count in row)] for label, row in zip(labels, result.confusion, strict=True)
        ]
        terminal.table(["", *(f"taken for {label}" for label in labels)], rows)
