"""BERT and its relatives: one network, and what each of them calls its parts.

Inside edgekit the parts are named as Hugging Face names BERT's, save that the layers of the head are ``head.N`` and
``classifier``. A checkpoint keeps the names of its own family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Family:
    """How one family differs from BERT.

    Attributes:
        renamed: Parts of names: BERT's to its own.
        activation: What follows the one layer that its own head has before the classifier.
        token_types: Whether it has token types.
        settings: Keys of its config.json, where they are not BERT's.
    """

    renamed: Mapping[str, str]
    activation: str
    token_types: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    def own_name(self, name: str) -> str:
        """The family's name of a tensor that has ``name`` inside edgekit."""
        for ours, theirs in self.renamed.items():
            name = name.replace(ours, theirs)
        return name

    def setting(self, key: str) -> str:
        """The family's key in config.json for BERT's ``key``."""
        return self.settings.get(key, key)


FAMILIES = {
    "bert": Family(renamed={"head.0.": "bert.pooler.dense."}, activation="tanh"),
    "distilbert": Family(
        renamed={
            "bert.encoder.": "distilbert.transformer.",
            ".attention.self.query.": ".attention.q_lin.",
            ".attention.self.key.": ".attention.k_lin.",
            ".attention.self.value.": ".attention.v_lin.",
            ".attention.output.dense.": ".attention.out_lin.",
            ".attention.output.LayerNorm.": ".sa_layer_norm.",
            ".intermediate.dense.": ".ffn.lin1.",
            ".output.dense.": ".ffn.lin2.",
            ".output.LayerNorm.": ".output_layer_norm.",
            "bert.embeddings.": "distilbert.embeddings.",
            "head.0.": "pre_classifier.",
        },
        activation="relu",
        token_types=False,
        settings={
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
        },
    ),
    "electra": Family(
        renamed={
            "bert.": "electra.",
            "classifier.": "classifier.out_proj.",
            "head.0.": "classifier.dense.",
        },
        activation="gelu",
    ),
}
"""By the ``model_type`` of config.json."""
