"""Writes any BERT checkpoint that edgekit reads as a Hugging Face folder, for those who only read such folders.

Example:
    python benchmarks/export_folder.py demo-out/model.pt --out demo-out/folder
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness import HOW_TO, run_benchmark


def export_folder(checkpoint: Path, folder: Path) -> Path:
    """Writes config.json, model.safetensors (float32), tokenizer.json and tokenizer_config.json.

    Args:
        checkpoint: What ``edgekit convert`` takes.
        folder: Where they go; created if missing.

    Returns:
        The folder.

    Raises:
        EdgekitError: The checkpoint cannot be read.
        OptionError: It is no BERT, so that transformers has no class for it.
    """
    from tokenizers import Tokenizer
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    from edgekit_converters.checkpoint import ReadOptions, read_checkpoint
    from edgekit_converters.networks.bert import BertConfig
    from edgekit_converters.original import transformers_config
    from edgekit_runtime.errors import OptionError

    model = read_checkpoint(checkpoint, ReadOptions(), lambda remark: print(f"note: {remark}", file=sys.stderr))
    if not isinstance(model.config, BertConfig) or model.config.head is not None:
        kind = "CNN" if model.architecture == "cnn" else "BERT with a head of its own"
        raise OptionError(f"{checkpoint} is a {kind}; transformers has no class for it: give a plain BERT")
    module = AutoModelForSequenceClassification.from_config(transformers_config(model.config))
    module.load_state_dict(dict(model.weights), strict=True)
    module.config.id2label = dict(enumerate(model.labels))
    module.config.label2id = {label: index for index, label in enumerate(model.labels)}
    folder.mkdir(parents=True, exist_ok=True)
    module.save_pretrained(folder)
    tokenizer = Tokenizer.from_str(model.tokenizer.json.decode())
    tokens = {f"{role}_token": tokenizer.id_to_token(number) for role, number in model.tokenizer.special_ids.items()}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=model.config.positions, **tokens
    ).save_pretrained(folder)
    return folder


def main() -> None:
    """Parses and exports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=HOW_TO)
    parser.add_argument("checkpoint", type=Path, help="edgekit checkpoint, state dict or Hugging Face folder")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    print(export_folder(arguments.checkpoint, arguments.out))


if __name__ == "__main__":
    run_benchmark(main)
