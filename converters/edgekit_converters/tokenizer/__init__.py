"""The tokenizer that belongs to a checkpoint, in whatever form it was left (docs/checkpoints.md)."""

from edgekit_converters.tokenizer.bert import bert_tokenizer
from edgekit_converters.tokenizer.reading import check_fits, describe_tokenizer, find_tokenizer, read_tokenizer

__all__ = ["bert_tokenizer", "check_fits", "describe_tokenizer", "find_tokenizer", "read_tokenizer"]
