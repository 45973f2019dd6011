"""Classifies text on a device with a bundle that ``edgekit convert`` made.

>>> import edgekit_runtime as ek
>>> classify = ek.load("sentiment.edgekit")  # doctest: +SKIP
>>> classify("what a film")  # doctest: +SKIP
Prediction(label='positive', score=0.98, scores={'negative': 0.02, 'positive': 0.98}, model='main')
"""

from edgekit_runtime.bundle import Bundle, open_bundle
from edgekit_runtime.classifier import Classifier
from edgekit_runtime.errors import BundleError, EdgekitError, EngineError
from edgekit_runtime.explain import Explanation, WordWeight
from edgekit_runtime.loading import load
from edgekit_runtime.prediction import Prediction

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "BundleError",
    "Classifier",
    "EdgekitError",
    "EngineError",
    "Explanation",
    "Prediction",
    "WordWeight",
    "load",
    "open_bundle",
]
