"""Pythons of their own, with other packages, for tools that cannot live beside edgekit's. Only the user installs one."""

from edgekit_converters.environments.asking import ask_there
from edgekit_converters.environments.environment import Environment
from edgekit_converters.environments.install import install_environment
from edgekit_converters.environments.known import ENVIRONMENTS, ONNX_TF, TFLITE_RUNTIME
from edgekit_converters.environments.places import python_of

__all__ = [
    "ENVIRONMENTS",
    "ONNX_TF",
    "TFLITE_RUNTIME",
    "Environment",
    "ask_there",
    "install_environment",
    "python_of",
]
