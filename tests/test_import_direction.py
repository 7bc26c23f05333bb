"""Dependencies run one way, and `import kochi` stays light."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "kochi"

# Which rooms (or single modules) each room may import; a room may always import itself.
BASE = {
    "errors",
    "extras",
    "components",
    "schema",
    "config",
    "normal_forms",
    "contents",
    "reading",
    "quiet",
    "visible",
    "inputs",
    "special_tokens",
    "tables",
}
DATA = BASE | {"data", "modality", "modalities"}
MODEL_PARTS = {
    "attention",
    "products",
    "special_tokens",
    "components",
    "inputs",
    "layers",
    "memory",
    "schema",
    "tables",
}
MODELS = MODEL_PARTS | {"encoders", "decoders", "models"}
DIRECTION: dict[str, set[str]] = {
    "ahead": set(),
    "allocator": set(),
    "errors": set(),
    "extras": {"errors"},
    "normal_forms": set(),
    "contents": set(),
    "quiet": set(),
    "visible": set(),
    "printing": {"visible"},
    "reading": {"errors", "contents"},
    "components": set(),
    "schema": {"components"},
    "tables": {"components", "schema"},
    "inputs": set(),
    "modality": {"components", "errors", "inputs", "memory", "normal_forms", "schema", "tables"},
    "config": {
        "components",
        "errors",
        "inputs",
        "modality",
        "normal_forms",
        "reading",
        "schema",
        "tables",
    },
    "memory": set(),
    "scenes": {"errors"},
    "attention": {"components", "processor", "products", "transforms"},
    "transforms": set(),
    "processor": set(),
    "products": {"processor", "transforms"},
    "special_tokens": set(),
    "layers": {"attention", "products", "tables", "components", "schema"},
    "encoders": MODEL_PARTS,
    "decoders": MODEL_PARTS,
    "models": MODELS | BASE,
    "data": BASE | {"modality"},
    "modalities": BASE | {"data", "word_alignment", "memory", "modality", "timestamps", "view"},
    "metrics": BASE | {"modality"},
    "view": BASE | {"timestamps", "memory"},
    "decoding": {"errors", "memory", "special_tokens"},
    "publishing": {"config", "modality", "tables"},
    "folder": DATA | {"models", "publishing"},
    "timestamps": {"memory"},
    "word_alignment": {"errors", "data", "metrics"},
    "training": DATA
    | MODELS
    | {"ahead", "metrics", "decoding", "view", "folder", "timestamps", "publishing", "printing"},
    "studies": DATA
    | MODELS
    | {
        "metrics",
        "decoding",
        "training",
        "inference",
        "word_alignment",
        "pointing",
        "view",
        "folder",
    },
    "inference": DATA
    | MODELS
    | {"ahead", "allocator", "decoding", "folder", "timestamps", "word_alignment"},
    "streaming": DATA | MODELS | {"decoding", "inference"},
    "pointing": DATA | {"memory", "metrics", "inference"},
    "run_schema": {"config", "folder", "modality"},
    "detection": DATA | {"run_schema"},
    "commands": DATA
    | {
        "allocator",
        "attention",
        "metrics",
        "view",
        "training",
        "inference",
        "streaming",
        "detection",
        "folder",
        "memory",
        "timestamps",
        "word_alignment",
        "studies",
        "run_schema",
        "scenes",
        "pointing",
        "publishing",
        "streams",
        "printing",
    },
    "streams": set(),
    "cli": {"commands", "components", "errors", "extras", "reading", "streams", "printing"},
    "kochi": {"attention", "errors", "modalities", "modality", "inference"},
    "__main__": {"cli"},
}
# Files of `modalities` that are rooms of their own: the interface lies below the data, and what
# needs a loaded model above it.
PLACES = {
    r"prediction": "modality",
    r"modalities(\.__init__|\.base|\.attended|(\.\w+)?\.tables|\.\w+\.__init__)?": "modality",
    r"modalities\.audio\.streaming": "streaming",
    r"modalities\.image\.pointing": "pointing",
    r"modalities\.detection(\.\w+)?": "detection",
    r"modalities\.\w+\.(detection|heuristics|layouts|template)": "detection",
}
ATTENTION_IMPORTS = {"torch", "jaxtyping", "einops", "triton"} | set(sys.stdlib_module_names)
HEAVY = (
    "lightning_fabric",
    "sacrebleu",
    "jiwer",
    "matplotlib",
    "pydantic",
    "tokenizers",
    "typer",
    "rich",
    "soundfile",
    "soxr",
    "PIL",
    "triton",
)


def imported(file: Path, types: bool = True) -> Iterator[str]:
    """Name the modules that a file imports, anywhere in it.

    For a bare `import kochi`, name what is taken from it.

    Args:
        file: The file.
        types: Also those that it imports for type checking alone.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if not types:
        tree.body = [node for node in tree.body if not _checks_types(node)]
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (name.name for name in node.names if name.name != "kochi")
            case ast.ImportFrom():
                assert not node.level, f"{file}: relative import"
                yield from (f"{node.module}.{name.name}" for name in node.names)
            case ast.Attribute(value=ast.Name(id="kochi")):
                yield f"kochi.{node.attr}"
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                if ast.unparse(node.func).endswith("import_module"):
                    yield name


def _checks_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def place_of(module: str) -> str | None:
    return next((room for path, room in PLACES.items() if re.fullmatch(path, module)), None)


def room_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return place_of(".".join(parts)) or ("kochi" if parts[0] == "__init__" else parts[0])


def room_of_module(module: str) -> str:
    """`kochi.data.pair.Pair` is of the room data; `kochi.load` of kochi itself."""
    parts = module.split(".")[1:]
    if parts[0] == "modalities":
        file = SOURCE.joinpath(*parts)
        if not (file.is_dir() or file.with_suffix(".py").exists()):
            parts.pop()  # what is imported, not where from
        return place_of(".".join(parts)) or "modalities"
    return place_of(parts[0]) or (parts[0] if parts[0] in DIRECTION else "kochi")


FILES = sorted(SOURCE.rglob("*.py"))


def test_every_room_has_its_place():
    assert {room_of(file) for file in FILES} <= DIRECTION.keys()


def test_the_order_has_no_circle():
    left = {room: set(allowed) for room, allowed in DIRECTION.items()}
    while left:
        free = {room for room, needs in left.items() if not (needs - {room}) & left.keys()}
        assert free, f"a circle among {sorted(left)}"
        left = {room: needs for room, needs in left.items() if room not in free}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_run_one_way(file):
    room = room_of(file)
    allowed = DIRECTION[room] | {room}
    for module in imported(file, types=room != "modality"):
        if module.startswith("kochi.") and module != "kochi.__version__":
            assert room_of_module(module) in allowed, f"{room} imports {module}"


@pytest.mark.parametrize(
    "file", sorted((SOURCE / "attention").rglob("*.py")), ids=lambda file: file.stem
)
def test_attention_imports_torch_and_little_of_ours(file):
    for module in imported(file):
        ours = tuple(f"kochi.{room}" for room in ("attention", *DIRECTION["attention"]))
        ours = module.startswith(ours)
        assert ours or module.split(".")[0] in ATTENTION_IMPORTS, module


def test_slots_need_the_standard_library_alone():
    imports = {module.split(".")[0] for module in imported(SOURCE / "components.py")}
    assert imports <= set(sys.stdlib_module_names)


def loaded_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter; return the packages that it loaded."""
    program = f"{statement}\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("statement", ["import kochi", "import kochi; kochi.attention.build"])
def test_import_is_light(statement):
    assert not loaded_after(statement) & set(HEAVY)


def test_naming_a_recording_loads_no_decoder():
    assert not loaded_after("from kochi.modalities.audio.files import Recording") & {
        "soundfile",
        "soxr",
    }


OUTLINES = """
import torch
from kochi import config
from kochi.encoders import ENCODERS
from kochi.inputs import FrameInput, PictureInput, TokenInput
from kochi.models.build import build_model

inputs = {one.__class__: one for one in (TokenInput(9), FrameInput(8, 0.1), PictureInput(3, 9, 9))}
attention = {"score": "additive", "num_heads": 2}
with torch.device("meta"):
    for kind in ENCODERS.builtin:
        for model in ("rnn", "transformer"):
            table = {"kind": model, "encoder": kind, "attention": attention}
            tree = {"data": {"kind": "tsv", "train": "a.tsv"}, "model": table}
            run = config.check_run(tree, "run.toml")
            build_model(run.model, inputs[ENCODERS.component(kind).reads], 9)
"""


def test_checking_a_model_folder_loads_no_compiler():
    """It would take longer than all else that `kochi predict` does for one line."""
    assert not loaded_after(OUTLINES) & {"sympy"}  # which the compiler needs


def test_help_loads_no_torch():
    assert "torch" not in loaded_after("import kochi.cli")
