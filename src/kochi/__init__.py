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
    from kochi.inference.loading import load
    from kochi.inference.predictor import Predictor
    from kochi.modalities.audio.files import Recording
    from kochi.modalities.audio.prediction import AudioPrediction
    from kochi.modalities.features.prediction import FeaturesPrediction
    from kochi.modalities.features.row import FeatureRow
    from kochi.modalities.image.files import Picture
    from kochi.modalities.image.prediction import ImagePrediction
    from kochi.modalities.text.prediction import TextPrediction
    from kochi.prediction import Prediction

__version__ = "0.1.0"
_HOMES = {
    "AudioPrediction": "kochi.modalities.audio.prediction",
    "FeatureRow": "kochi.modalities.features.row",
    "FeaturesPrediction": "kochi.modalities.features.prediction",
    "ImagePrediction": "kochi.modalities.image.prediction",
    "Picture": "kochi.modalities.image.files",
    "Prediction": "kochi.prediction",
    "Predictor": "kochi.inference.predictor",
    "Recording": "kochi.modalities.audio.files",
    "TextPrediction": "kochi.modalities.text.prediction",
    "UserError": "kochi.errors",
    "load": "kochi.inference.loading",
}
__all__ = [
    "AudioPrediction",
    "FeatureRow",
    "FeaturesPrediction",
    "ImagePrediction",
    "Picture",
    "Prediction",
    "Predictor",
    "Recording",
    "TextPrediction",
    "UserError",
    "__version__",
    "attention",
    "load",
]


def __getattr__(name: str) -> Any:
    if name == "attention":
        return import_module("kochi.attention")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kochi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
