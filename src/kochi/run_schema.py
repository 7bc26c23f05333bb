"""The JSON schema of run files."""

import json
from pathlib import Path

from kochi import config
from kochi.folder import write_output

FILE = "kochi.schema.json"
LINE = f"#:schema {FILE}"  # as editors read it (taplo, Even Better TOML)
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def run_schema() -> bytes:
    """Return the schema, with the components of all installed packages."""
    schema = {"$schema": DIALECT, **config.Run.model_json_schema(), "title": "A run file of kochi"}
    return (json.dumps(schema, indent=1, ensure_ascii=False) + "\n").encode()


def write_beside(run_file: Path) -> None:
    """Write the schema where the first line of a run file says that it is.

    Raises:
        UserError: It cannot be written.
    """
    write_output(run_file.parent / FILE, run_schema())
