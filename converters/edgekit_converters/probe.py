"""The probe: a tiny network with made-up weights, small enough to be converted in a second and to lie in the package.

It tells whether a target or an engine works, and nothing of sentiment.
"""

from __future__ import annotations

import string
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from edgekit_converters.checkpoint import save_checkpoint
from edgekit_converters.model import TextModel
from edgekit_converters.networks.cnn import Cnn, CnnConfig
from edgekit_converters.pipeline import Conversion, convert
from edgekit_converters.recipe import Recipe
from edgekit_converters.tokenizer import bert_tokenizer, describe_tokenizer
from edgekit_runtime.progress import Listener, LogListener

PIECES = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
    *("the", "was", "this", "film", "room", "good", "bad", "not", "很", "好", "差", "👍", "。", ".", ",", "!"),
    *string.ascii_lowercase,
    *(f"##{letter}" for letter in string.ascii_lowercase),
)
BUCKETS = (8, 16)
SEED = 9
"""With these weights both labels occur among the golden texts, and no answer is a close call."""


def probe_model() -> TextModel:
    """The network with its tokenizer."""
    vocabulary = {piece: index for index, piece in enumerate(PIECES)}
    data = bert_tokenizer(vocabulary, lower_case=True)
    config = CnnConfig(vocab_size=len(PIECES), hidden=8, widths=(1, 2), filters=(8, 8), classes=2)
    generator = torch.Generator().manual_seed(SEED)
    weights = {
        name: 0.5 * torch.randn(tensor.shape, generator=generator) for name, tensor in Cnn(config).state_dict().items()
    }
    tokenizer = describe_tokenizer(data, LogListener().say, "the probe")
    return TextModel("probe", config, weights, tokenizer, ("negative", "positive"))


def convert_probe(
    out: Path,
    targets: Sequence[str],
    quantize: str | None = None,
    listener: Listener | None = None,
    *,
    compat: str | None = None,
) -> Conversion:
    """Converts the probe, with every check of a real conversion.

    Args:
        out: The bundle.
        targets: Names of the targets.
        quantize: The scheme; None takes the default.
        listener: Told of progress.
        compat: An older runtime that must answer rightly, too.

    Raises:
        EdgekitError: A target does not work here.
    """
    recipe = Recipe(tuple(targets), quantize, max_length=BUCKETS[-1], buckets=BUCKETS, compat=compat)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = save_checkpoint(probe_model(), Path(folder) / "probe.pt")
        return convert(checkpoint, out, recipe=recipe, listener=listener)
