"""Modalities, the kinds of source, one per folder; other code uses them only as `Modality`.

A modality is a component: its options are the data table of a run file, and the names of its slot
are the values of ``data.kind``. A package adds one with an entry point in the group
``kochi.modality``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kochi.components import ComponentError, Slot
from kochi.modalities.base import Modality

if TYPE_CHECKING:
    from kochi.data.left_out import usable
    from kochi.data.pair import Pair
    from kochi.data.readers.base import Reader
    from kochi.modalities.attended import Attended
    from kochi.modalities.frames_prediction import FramesPrediction
    from kochi.modalities.manifests import manifest_rows
    from kochi.modalities.pairs import read_pairs
    from kochi.modalities.tables import BaseData, ManifestData
    from kochi.prediction import Prediction

_TEXT = "kochi.modalities.text.modality:Text"
MODALITIES: Slot[Modality[Any]] = Slot(
    "modality",
    Modality,
    {
        "tsv": _TEXT,
        "jsonl": _TEXT,
        "parallel": _TEXT,
        "huggingface": _TEXT,
        "sound": "kochi.modalities.audio.modality:Audio",
        "features": "kochi.modalities.features.modality:Features",
        "picture": "kochi.modalities.image.modality:Image",
    },
    supplies=("data",),
)


def modality_of(data: Any) -> Modality[Any]:
    """Return the modality of a data table, holding the table."""
    return MODALITIES.component(data.kind)(data)


def data_table(modality: type[Modality[Any]], kind: str) -> Any:
    """Return the class of a modality's data table.

    Raises:
        ComponentError: The modality has several, and none of that kind.
    """
    if kind in modality.tables:
        return modality.tables[kind]
    if len(modality.tables) != 1:
        names = ", ".join(map(repr, modality.tables))
        raise ComponentError(f"modality {kind!r} has several data tables; expected one of {names}")
    return next(iter(modality.tables.values()))


_HOMES = {
    "Attended": "kochi.modalities.attended",
    "BaseData": "kochi.modalities.tables",
    "FramesPrediction": "kochi.modalities.frames_prediction",
    "ManifestData": "kochi.modalities.tables",
    "Pair": "kochi.data.pair",
    "Prediction": "kochi.prediction",
    "Reader": "kochi.data.readers.base",
    "manifest_rows": "kochi.modalities.manifests",
    "read_pairs": "kochi.modalities.pairs",
    "usable": "kochi.data.left_out",
}
__all__ = [
    "MODALITIES",
    "Attended",
    "BaseData",
    "FramesPrediction",
    "ManifestData",
    "Modality",
    "Pair",
    "Prediction",
    "Reader",
    "data_table",
    "manifest_rows",
    "modality_of",
    "read_pairs",
    "usable",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kochi.modalities' has no attribute {name!r}")
