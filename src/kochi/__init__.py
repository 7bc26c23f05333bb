"""kochi: attention models that turn text, speech or images into text.

    import kochi

    model = kochi.load("model")                      # a folder written by `kochi train`
    print(model.predict(["hello"])[0].text)

    kochi.attention.build(score="additive", query_size=256, memory_size=512)

Nothing heavy is imported until it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kochi import attention
    from kochi.errors import UserError
    from kochi.inference.predictor import Prediction, Predictor, load
    from kochi.modalities.audio.files import Recording
    from kochi.modalities.features.row import FeatureRow
    from kochi.modalities.image.files import Picture

__version__ = "0.1.0"
__all__ = [
    "FeatureRow",
    "Picture",
    "Prediction",
    "Predictor",
    "Recording",
    "UserError",
    "__version__",
    "attention",
    "load",
]

_HOMES = {
    "FeatureRow": "kochi.modalities.features.row",
    "Picture": "kochi.modalities.image.files",
    "Recording": "kochi.modalities.audio.files",
    "Prediction": "kochi.inference.predictor",
    "Predictor": "kochi.inference.predictor",
    "UserError": "kochi.errors",
    "load": "kochi.inference.predictor",
}


def __getattr__(name: str) -> Any:
    if name == "attention":
        return import_module("kochi.attention")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kochi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
