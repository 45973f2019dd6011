"""``edgekit eval``."""

from __future__ import annotations

from edgekit.cli.bundle_options import BundlePath, EngineName, Json, KeyFile, Threads, TrustedKeys, use_key_file
from edgekit.cli.options import UNSAID, DataPath, with_data_options
from edgekit.cli.terminal import Terminal, open_classifier, percent, print_json, print_result
from edgekit.evaluation import evaluate
from edgekit_converters.data import DataOptions
from edgekit_converters.data.source import shown


@with_data_options
def command(
    bundle: BundlePath,
    data: DataPath,
    data_options: DataOptions = UNSAID,
    engine: EngineName = None,
    threads: Threads = None,
    trusted_key: TrustedKeys = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Measure accuracy, precision, recall and F1 on labelled text.

    \b
    Example:
      $ edgekit eval model.edgekit dev.tsv
      $ edgekit eval model.edgekit reviews.csv --text-column body --label-column 3 --json
      $ edgekit eval model.edgekit stars.jsonl.gz --label-map stars --skip-bad
      $ edgekit eval model.edgekit hf:stanfordnlp/sst2 --split validation
    """
    use_key_file(key_file)
    opened = open_classifier(bundle, engine=engine, threads=threads, trusted_keys=trusted_key)
    with opened as classify, Terminal() as terminal:
        terminal.stage(f"Classifying {shown(str(data))}")
        result = evaluate(classify, data, data_options, progress=terminal.progress, say=terminal.say)
        labels = classify.labels
    if json:
        print_json({key: value for key, value in vars(result).items() if key != "answered_by" or value is not None})
        return
    print_result(
        f"accuracy {percent(result.accuracy)}  precision {percent(result.precision)}  recall {percent(result.recall)}  "
        f"f1 {percent(result.f1)}  ({result.examples} texts, {result.engine}, macro averages)"
    )
    if result.answered_by:
        print_result(
            "answered by  " + "  ".join(f"{role} {percent(part)}" for role, part in result.answered_by.items())
        )
    with Terminal() as terminal:
        rows = [
            [f"is {label}", *(str(count) for count in row)] for label, row in zip(labels, result.confusion, strict=True)
        ]
        terminal.table(["", *(f"taken for {label}" for label in labels)], rows)
