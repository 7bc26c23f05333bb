"""The run file: data, model, training and search as a tree of frozen pydantic models.

The key ``kind`` selects among alternatives. Unknown keys are refused with the nearest known name.
The resolved tree is saved with the model, so that a model folder records how it was trained.
"""

import difflib
import tomllib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)

from kochi.components import Choice, ComponentError
from kochi.errors import UserError
from kochi.inputs import TokenInput
from kochi.modalities import MODALITIES, data_table, modality_of
from kochi.modalities.audio.tables import SoundData
from kochi.modalities.features.tables import FeaturesData
from kochi.modalities.image.tables import PictureData
from kochi.modalities.tables import BaseData
from kochi.modalities.text.tables import (
    TextSources,
)
from kochi.reading import LARGEST_TOML, parse_toml, parsing, read_file, shortened
from kochi.schema import COMPONENT, Chosen, ChosenName
from kochi.tables import (
    AboveZero,
    Attention,
    Cell,
    Fraction,
    HeadsAttention,
    Layers,
    NotNegative,
    Positions,
    Positive,
    Table,
    by_default,
)

# ------------------------------------------------------------------------------------------- data


Data = Annotated[
    TextSources | FeaturesData | SoundData | PictureData,
    Field(discriminator="kind"),
]

# ------------------------------------------------------------------------------------------ model


Encoder = Annotated[Choice[Any], Chosen("kochi.encoders:ENCODERS")]


class RecurrentModel(Table):
    """Options of all recurrent models. ``hidden_size`` is the width of the decoder.

    A bidirectional encoder has width ``hidden_size`` in each direction. ``encoder`` selects the
    encoder of frames (default: a pyramid of that width) or of images (default: a small residual
    network). ``encoder_layers``, ``bidirectional`` and ``reverse_source`` apply to the encoder of
    tokens only.
    """

    cell: Cell = "lstm"
    embedding_size: Positive = 256
    hidden_size: Positive = 256
    encoder_layers: Layers = 1
    decoder_layers: Layers = 1
    bidirectional: bool = True
    reverse_source: bool = False
    dropout: Fraction = 0.2
    tie_embeddings: Literal["none", "target", "all"] = "none"
    encoder: Encoder | None = None


class PlainModel(RecurrentModel):
    """Encoder-decoder with one fixed-size vector (Sutskever et al. 2014; Cho et al. 2014)."""

    kind: Literal["plain"]


def _with_input_feeding(schema: dict[str, Any]) -> None:
    """Describe the key that is a shorthand for an option of ``order``."""
    about = "The option of Luong's decoder: feed the attentional vector to the next step."
    schema["properties"]["input_feeding"] = {"type": "boolean", "description": about}


class RnnModel(RecurrentModel):
    """Recurrent encoder-decoder with attention.

    ``order`` selects the decoder, as a name or a table with options: "bahdanau" (attend with the
    previous state, then step), "xu" (the same with a gate on the context and a deep output) or
    "luong" (step, attend, then compute an attentional vector). ``input_feeding`` is an option of
    Luong's decoder (default: true); in the other decoders the context always enters the step. The
    decoder's first state is computed from the encoder's summary (``first_state = "summary"``), or
    is a parameter ("learned"), for a streaming decoder that starts before the source is complete.
    """

    model_config = ConfigDict(json_schema_extra=_with_input_feeding)

    kind: Literal["rnn"]
    order: Annotated[Choice[Any], Chosen("kochi.decoders:DECODERS")] = by_default("bahdanau")
    first_state: Literal["summary", "learned"] = "summary"
    attention: Attention = Field(default_factory=Attention)

    @model_validator(mode="before")
    @classmethod
    def _feeding_belongs_to_luong(cls, table: Any) -> Any:
        """Move ``input_feeding`` into the options of Luong's decoder."""
        if not isinstance(table, dict) or "input_feeding" not in table:
            return table
        rest = {name: value for name, value in table.items() if name != "input_feeding"}
        if table["input_feeding"] is None:
            return rest
        order = rest.get("order", "bahdanau")
        order = {"kind": order} if isinstance(order, str) else order
        if not isinstance(order, dict) or order.get("kind") != "luong":
            raise ValueError(
                "input_feeding is an option of order = 'luong'; with 'bahdanau' and 'xu' the "
                "context always enters the step: remove the key"
            )
        return {**rest, "order": {**order, "input_feeding": table["input_feeding"]}}


class TransformerModel(Table):
    """Transformer (Vaswani et al. 2017).

    ``attention`` is the cross-attention from the decoder to the memory. ``self_attention`` applies
    to the encoder and to the decoder, where it is also causal. ``encoder`` selects the encoder of
    frames or images (default: a Transformer with the options of this table, over convolutions or
    patches).
    """

    kind: Literal["transformer"]
    size: Positive = 128
    feedforward_size: Positive = 256
    encoder_layers: Layers = 4
    decoder_layers: Layers = 4
    norm: Literal["pre", "post"] = "pre"
    positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    max_positions: Positions = 1024
    activation: Literal["relu", "gelu"] = "relu"
    dropout: Fraction = 0.1
    attention_dropout: Fraction = 0.0
    tie_embeddings: Literal["none", "target", "all"] = "target"
    self_attention: HeadsAttention = Field(default_factory=HeadsAttention)
    attention: HeadsAttention = Field(default_factory=HeadsAttention)
    encoder: Encoder | None = None


Model = Annotated[PlainModel | RnnModel | TransformerModel, Field(discriminator="kind")]

# --------------------------------------------------------------------------------------- training


# Resolved run files of models older than 0.2 list these for every kind of schedule.
_OF_ALL_SCHEDULES = {"final_fraction": 0.0, "factor": 0.5, "patience": 2}


def _without_others(value: Any) -> Any:
    """Drop options of other schedules, which older model folders list with their defaults."""
    if not isinstance(value, dict):
        return value
    table = {"kind": "inverse_sqrt", **value}
    if not isinstance(table["kind"], str):
        return table  # the slot reports the error
    own = {"cosine": ("final_fraction",), "plateau": ("factor", "patience")}.get(table["kind"], ())
    return {
        name: one
        for name, one in table.items()
        if name in own or name not in _OF_ALL_SCHEDULES or one != _OF_ALL_SCHEDULES[name]
    }


Schedule = Annotated[
    Choice[Any], Chosen("kochi.training.schedules:SCHEDULES"), BeforeValidator(_without_others)
]


Loggers = Annotated[
    list[Choice[Any]],
    Chosen("kochi.training.loggers:LOGGERS", several=True),
    BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value]),
]
Metric = Annotated[str, ChosenName("kochi.metrics:METRICS", also=("loss",))]


class Reinforce(Table):
    """Monte-Carlo gradient of a sampling selection (Xu et al. 2015, section 4.1).

    The log-likelihood of a sampled position is weighted by ``weight`` times the reward minus a
    baseline. The baseline is a moving average with decay ``baseline_decay``.
    """

    weight: NotNegative = 1.0
    entropy_weight: NotNegative = 0.01
    baseline_decay: Fraction = 0.9


class Augmentation(Table):
    """Augmentation of audio and feature frames, drawn anew in every epoch.

    ``speeds`` are the playback speeds of a recording, drawn with equal probability (Ko et al. 2015:
    0.9, 1.0 and 1.1); of features only the tempo changes. The other options are masks as in
    SpecAugment (Park et al. 2019): the number of masks over time and over the bins of a frame, and
    their maximum widths: ``time_width`` frames and at most ``time_share`` of the row, ``bin_width``
    bins (default: a third of them).
    """

    speeds: tuple[Annotated[float, Field(ge=0.1, le=10.0)], ...] = ()
    time_masks: Annotated[int, Field(ge=0, le=1_000)] = 2
    time_width: Annotated[int, Field(ge=0)] = 70
    time_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    bin_masks: Annotated[int, Field(ge=0, le=1_000)] = 2
    bin_width: Annotated[int, Field(ge=0)] | None = None


class Distortion(Table):
    """Augmentation of images: the maximum of each distortion, drawn anew in every epoch.

    ``shift``, ``zoom`` and ``contrast`` are fractions; ``mirror`` flips half of the images left to
    right.
    """

    shift: Fraction = 0.05
    turn_degrees: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    zoom: Fraction = 0.1
    contrast: Fraction = 0.1
    mirror: bool = False


class Training(Table):
    """How the model is trained.

    ``batch_tokens`` limits the size of a batch: rows times the length of the longer padded side. A
    length counts tokens for text, frames for audio and features (at 10 ms per frame, 6000 are a
    minute), and squares of 8 x 8 pixels for images.

    The best checkpoint is the one with the best dev ``metric``, among equals the one with the
    lowest loss. Training stops after ``patience`` evaluations without a better one.
    ``evaluate_every`` and ``checkpoint_every`` count optimizer steps (0: every epoch). Evaluations
    during training always use greedy search. ``average_last = 1`` keeps the best checkpoint; a
    larger number averages the weights of that many checkpoints, the last or the best ones (see
    ``average``).

    With ``matmul_precision = "medium"``, matrix products may use bfloat16 inputs with float32 sums
    where the hardware is faster with them. ``coverage_weight`` is the weight of the coverage loss
    (See et al. 2017, equation 12), ``doubly_stochastic_weight`` that of the regularisation in Xu et
    al. 2015, equation 14. With ``ctc_weight`` w the loss is (1 - w) times the decoder's plus w
    times the CTC loss over the memory (Watanabe et al. 2017). ``augmentation`` applies to frames,
    ``distortion`` to images.

    ``start_from`` is the folder of a model whose weights initialise those of the same name and
    shape, for instance to start hard attention from a model with soft attention, or to continue
    training on more data. All other weights are drawn. Vocabularies are taken over from that model
    where the tokenization is the same.

    Each evaluation prints the model's output for ``examples`` dev rows, always the same ones (0
    prints none). Training curves are written as CSV and for TensorBoard; ``loggers`` names services
    that receive them as well. With ``strategy = "fsdp"`` each of several processes
    keeps a part of the model only.
    """

    epochs: Positive = 20
    max_steps: Positive | None = None
    batch_tokens: Positive = 4096
    accumulate: Positive = 1
    learning_rate: AboveZero = 1e-3
    schedule: Schedule = by_default("inverse_sqrt")
    weight_decay: NotNegative = 0.0
    betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    label_smoothing: Fraction = 0.1
    gradient_clip: NotNegative = 1.0
    reinforce: Reinforce = Reinforce()
    coverage_weight: NotNegative = 0.0
    doubly_stochastic_weight: NotNegative = 0.0
    ctc_weight: Fraction = 0.0
    augmentation: Augmentation | None = None
    distortion: Distortion | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    metric: Metric = "bleu"
    evaluate_every: Annotated[int, Field(ge=0)] = 0
    examples: Annotated[int, Field(ge=0)] = 2
    checkpoint_every: Annotated[int, Field(ge=0)] = 200
    patience: Positive | None = None
    keep_best: Positive = 1
    average_last: Positive = 1
    average: Literal["last", "best"] = "last"
    start_from: Path | None = None
    loggers: Loggers = Field(default_factory=list)
    devices: Positive = 1
    strategy: Literal["ddp", "fsdp"] = "ddp"
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"


class Search(Table):
    """How predictions are searched; ``beam = 1`` is greedy search.

    The log-probability of a hypothesis is divided by length ** ``length_penalty``. A hypothesis has
    at most ``max_length_ratio`` times the number of source tokens, plus ``max_length_extra``. With
    ``ctc_weight`` w, prefixes are scored by 1 - w times the decoder's log-probability plus w times
    that of CTC; the model must have been trained with CTC.

    ``unknown`` sets how to treat words (or characters) of the source that training never saw.
    "drop" reads them as the unknown token, which is never written. "copy" copies them into the
    prediction where the alignment is clear, and "mark" writes ⟨unk⟩ there. With "copy" and "mark"
    the model may also write the unknown token (which it learns where ``target.vocabulary_size``
    cuts off tokens); it is replaced in the same way. "drop" is the default because copying needs
    both sides to share a script: a letter is not a phone.

    Source texts of more than ``max_source_length`` tokens are refused. Default: four times the
    longest source of the training data, and at least ``data.max_length``.
    """

    beam: Annotated[int, Field(gt=0, le=10_000)] = 5
    length_penalty: Annotated[float, Field(ge=0.0, le=10.0)] = 1.0
    max_length_ratio: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    max_length_extra: Annotated[int, Field(gt=0, le=10_000)] = 20
    batch_size: Positive = 64
    ctc_weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    unknown: Literal["copy", "mark", "drop"] = "drop"
    max_source_length: Positive | None = None


class Run(Table):
    """A complete run file. Paths are relative to its folder.

    ``output`` is the model folder. A folder that contains anything but the output of ``kochi
    train`` is refused. ``seed`` is the random seed of training.
    """

    seed: Annotated[int, Field(ge=0)] = 1
    output: Path = Path("model")
    data: Data
    model: Model
    training: Training = Training()
    search: Search = Search()

    @model_validator(mode="after")
    def _search_knows_what_was_trained(self) -> "Run":
        if self.search.ctc_weight and not self.training.ctc_weight:
            raise ValueError(
                "search.ctc_weight needs a model trained with CTC: also set training.ctc_weight"
            )
        of_text = isinstance(modality_of(self.data).like(), TokenInput)
        if self.search.unknown == "copy" and not of_text:
            raise ValueError("search.unknown = 'copy' needs sources of text; use 'mark' or 'drop'")
        if self.search.unknown == "copy" and isinstance(self.model, PlainModel):
            raise ValueError(
                "search.unknown = 'copy' needs attention, which a plain model lacks; use 'mark' "
                "or 'drop'"
            )
        return self


# ------------------------------------------------------------------------------- reading, writing


def read_run(path: Path, changes: list[str] | None = None) -> Run:
    """Read a run file and apply ``--set`` changes such as ``model.attention.score=general``.

    Relative ``output``, ``data.folder`` and ``training.start_from`` are resolved against the run
    file's folder.

    Raises:
        UserError: The file is missing or is not TOML, a key is unknown (the nearest known name is
            given), or a value has the wrong type or range.
    """
    missing = "no such run file; write one with 'kochi init DATA'"
    content = read_file(path, "a run file (TOML)", LARGEST_TOML, missing=missing, pipes=True)
    tree = read_toml(content, str(path))
    for change in changes or []:
        _apply_change(tree, change)
    run = check_run(tree, str(path))
    return resolve(run, path.parent)


def resolve(run: Run, folder: Path) -> Run:
    """Return a run whose paths are resolved against the folder of its run file."""
    base = folder.resolve()
    data = run.data.model_copy(update={"folder": _join(base, run.data.folder)})
    training = run.training
    if training.start_from is not None:
        before = _join(base, training.start_from)
        training = training.model_copy(update={"start_from": before})
    output = _join(base, run.output)
    return run.model_copy(update={"data": data, "training": training, "output": output})


def _join(base: Path, path: Path) -> Path:
    """Join a path to a folder without symbolic links, resolving leading ``..`` parts."""
    parts = list(path.parts)
    while parts[:1] == [".."]:
        base, parts = base.parent, parts[1:]
    return base.joinpath(*parts)


def read_toml(content: bytes, where: str) -> dict[str, Any]:
    """Parse the bytes of a run file; see `kochi.reading.parse_toml`.

    Raises:
        UserError: The content is not valid TOML.
    """
    with parsing(where, "TOML", "expected text in UTF-8"):
        text = content.decode()
    return parse_toml(text, where)


def check_run(tree: dict[str, Any], where: str, trust: Collection[str] | None = None) -> Run:
    """Validate a parsed run file; errors are one line that names the key.

    Args:
        tree: The parsed run file.
        where: Its name in error messages.
        trust: Packages whose code it may use. None allows all, as for the user's own run files.

    Raises:
        UserError: A key is unknown or missing, or a value has the wrong type or range.
    """
    if (key := _find_nul(tree)) is not None:
        raise UserError(f"{where}: {shortened(key)}: contains a NUL character; remove it")
    try:
        run_class = _run_class(tree, trust)
    except ComponentError as error:
        raise UserError(f"{where}: data.kind: {str(error).removeprefix('modality: ')}") from None
    try:
        return run_class.model_validate(tree, context={"trust": trust})
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error, tree, run_class)}") from None


def _run_class(tree: dict[str, Any], trust: Collection[str] | None) -> type[Run]:
    """Return `Run`, with another data table if a modality that is not built in is named."""
    data = tree.get("data")
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind in MODALITIES.builtin:
        return Run
    return _run_with(data_table(MODALITIES.choose(kind, trust).component, kind))


@cache
def _run_with(table: type[BaseData]) -> type[Run]:
    return create_model("Run", __base__=Run, data=(table, ...))


def _find_nul(value: Any, key: str = "") -> str | None:
    """Return the first key whose value contains a NUL character, which file names cannot."""
    if isinstance(value, str):
        return key if "\0" in value else None
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    keys = (_find_nul(one, f"{key}.{name}" if key else str(name)) for name, one in items)
    return next((name for name in keys if name is not None), None)


def write_run(run: Run, path: Path) -> None:
    """Write the resolved run file."""
    path.write_text(tomli_w.dumps(run.model_dump(mode="json", exclude_none=True)), encoding="utf-8")


def _apply_change(tree: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise UserError(
            f"--set {change}: expected KEY=VALUE, such as model.attention.score=general"
        )
    try:
        value = parse_toml(f"value = {text}", f"--set {shortened(change)}")["value"]
    except UserError as error:
        if not isinstance(error.__cause__, tomllib.TOMLDecodeError):
            raise
        value = text
    *parents, last = key.split(".")
    table = tree
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise UserError(f"--set {change}: {parent} is a value, not a table")
    table[last] = value


def _explain(error: ValidationError, tree: dict[str, Any], run_class: type[Run]) -> str:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    names = [part for part in path if part not in _kinds()]
    key = ".".join(names)
    context = first.get("ctx", {})
    if first["type"] == "extra_forbidden":
        known = _known_keys(path, run_class)
        if path[-2:-1] and path[-2] in _kinds() and (others := _kinds_with(path[-2], names[-1])):
            return (
                f"{key} is an option of kind {' or '.join(map(repr, others))}, not of "
                f"{path[-2]!r}; remove it from the run file (known: {', '.join(sorted(known))})"
            )
        near = difflib.get_close_matches(names[-1], known, n=1, cutoff=0.0)
        return f"unknown key {key}; did you mean {near[0]}? (known: {', '.join(sorted(known))})"
    if first["type"] == COMPONENT:
        return f"{key}: {first['msg']}"
    if first["type"] == "missing":
        return f"{key} is missing; add it to the run file"
    if first["type"] == "union_tag_not_found":
        return f"{key}.kind is missing; it must be one of {_kinds_of(names[-1])}"
    if first["type"] == "union_tag_invalid":
        return f"{key}: kind must be one of {context['expected_tags']}"
    if not key and first["type"] == "value_error":
        return str(context["error"])
    value = shortened(repr(first["input"]))
    return f"{key} = {value}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _kinds() -> dict[str, type[Table]]:
    return _kinds_in(Data) | _kinds_in(Model)


def _kinds_in(union: Any) -> dict[str, type[Table]]:
    tables = get_args(get_args(union)[0])
    return {get_args(table.model_fields["kind"].annotation)[0]: table for table in tables}


def _kinds_of(name: str) -> str:
    return ", ".join(map(repr, _kinds_in({"data": Data, "model": Model}[name])))


def _kinds_with(kind: str, key: str) -> list[str]:
    """Return the alternatives to a kind that have the key."""
    for named in map(_kinds_in, (Data, Model)):
        if kind in named:
            return [name for name, table in named.items() if key in table.model_fields]
    return []


def _known_keys(path: list[str], run_class: type[Run]) -> list[str]:
    table: type[BaseModel] = run_class
    for part in path[:-1]:
        if part in _kinds():
            table = _kinds()[part]
        elif part in table.model_fields:
            annotation = table.model_fields[part].annotation
            for member in (annotation, *get_args(annotation)):  # of "table or None", the table
                if isinstance(member, type) and issubclass(member, BaseModel):
                    table = member
    return list(table.model_fields)


__all__ = [
    "Run",
    "Search",
    "Training",
    "check_run",
    "read_run",
    "write_run",
]
