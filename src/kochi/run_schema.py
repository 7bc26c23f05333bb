"""The JSON schema of run files."""

import json
from pathlib import Path
from typing import Any, Literal, Union

from pydantic import create_model

from kochi import config
from kochi.folder import write_output
from kochi.modalities import MODALITIES, data_table

FILE = "kochi.schema.json"
LINE = f"#:schema {FILE}"  # as editors read it (taplo, Even Better TOML)
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def run_schema() -> bytes:
    """Return the schema, with the components of all installed packages."""
    run = _run_of_all_modalities()
    schema = {"$schema": DIALECT, **run.model_json_schema(), "title": "A run file of kochi"}
    return (json.dumps(schema, indent=1, ensure_ascii=False) + "\n").encode()


def _run_of_all_modalities() -> type[config.Run]:
    tables = []
    for kind in MODALITIES:
        if kind not in MODALITIES.builtin:
            table = data_table(MODALITIES.component(kind), kind)
            named: Any = (Literal[kind], ...)
            tables.append(create_model(kind, __base__=table, kind=named))
    if not tables:
        return config.Run
    data: Any = (Union[config.Data, *tables], ...)
    return create_model("Run", __base__=config.Run, data=data)


def write_beside(run_file: Path) -> None:
    """Write the schema beside a run file, where its first line refers to it.

    Raises:
        UserError: The file cannot be written.
    """
    write_output(run_file.parent / FILE, run_schema())
