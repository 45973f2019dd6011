"""Makes a fine-tuned sentiment classifier run well on a phone or an edge board.

>>> import edgekit
>>> made = edgekit.convert("model.pt", eval_data="dev.tsv")  # doctest: +SKIP
>>> classify = edgekit.load(made.bundle)  # doctest: +SKIP

Importing this package imports neither torch nor transformers, and of edgekit only what classifies; each other name brings its own
when it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from edgekit_runtime import Classifier, EdgekitError, Prediction, __version__, load

if TYPE_CHECKING:
    from edgekit.comparison import Comparison, compare
    from edgekit.evaluation import Evaluation, evaluate
    from edgekit_converters.checkpoint import ReadOptions
    from edgekit_converters.compress import Compression
    from edgekit_converters.pipeline import Conversion, convert
    from edgekit_converters.recipe import Recipe
    from edgekit_converters.recipe_file import RecipeFile
    from edgekit_converters.recorded import recorded_recipe
    from edgekit_converters.training.finetune import FinetuneSettings, finetune
    from edgekit_converters.tuning.tune import tune
    from edgekit_runtime.profiling.measure import profile_bundle
    from edgekit_runtime.profiling.profile import Profile
    from edgekit_runtime.trust.keys import write_sealing_key, write_signing_key
    from edgekit_runtime.trust.writing import seal_bundle, sign_bundle

__all__ = [
    "Classifier",
    "Comparison",
    "Compression",
    "Conversion",
    "EdgekitError",
    "Evaluation",
    "FinetuneSettings",
    "Prediction",
    "Profile",
    "ReadOptions",
    "Recipe",
    "RecipeFile",
    "__version__",
    "compare",
    "convert",
    "evaluate",
    "finetune",
    "load",
    "profile_bundle",
    "recorded_recipe",
    "seal_bundle",
    "sign_bundle",
    "tune",
    "write_sealing_key",
    "write_signing_key",
]

_LIGHT = {
    "Comparison": "edgekit.comparison",
    "Evaluation": "edgekit.evaluation",
    "Profile": "edgekit_runtime.profiling.profile",
    "compare": "edgekit.comparison",
    "evaluate": "edgekit.evaluation",
    "profile_bundle": "edgekit_runtime.profiling.measure",
    "seal_bundle": "edgekit_runtime.trust.writing",
    "sign_bundle": "edgekit_runtime.trust.writing",
    "write_sealing_key": "edgekit_runtime.trust.keys",
    "write_signing_key": "edgekit_runtime.trust.keys",
}
"""Name to the module that it comes from."""

_NEED_TORCH = {
    "Compression": "edgekit_converters.compress",
    "Conversion": "edgekit_converters.pipeline",
    "FinetuneSettings": "edgekit_converters.training.finetune",
    "ReadOptions": "edgekit_converters.checkpoint",
    "Recipe": "edgekit_converters.recipe",
    "RecipeFile": "edgekit_converters.recipe_file",
    "convert": "edgekit_converters.pipeline",
    "finetune": "edgekit_converters.training.finetune",
    "recorded_recipe": "edgekit_converters.recorded",
    "tune": "edgekit_converters.tuning.tune",
}
"""The same of what is not there without torch."""


def __getattr__(name: str) -> Any:
    if (module := _LIGHT.get(name)) is None:
        if (module := _NEED_TORCH.get(name)) is None:
            raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
        from edgekit_runtime.errors import require

        require("torch", extra="convert", purpose=f"edgekit.{name}")
    return getattr(importlib.import_module(module), name)
