"""``kochi schema``: print the JSON schema of run files, for editors and other programs."""

from pathlib import Path
from typing import Annotated

import typer

from kochi.commands.example import worked_example
from kochi.printing import put, say


@worked_example(
    "$ kochi schema",
    "$ kochi schema --out kochi.schema.json",
)
def schema(
    out: Annotated[
        Path | None, typer.Option(help="Write the schema to this file. Default: standard output.")
    ] = None,
) -> None:
    """Print the JSON schema of run files, with the components of all installed packages.

    An editor with TOML support completes and checks a run file whose first line is
    '#:schema kochi.schema.json'; 'kochi init' writes both.
    """
    from kochi.folder import write_output
    from kochi.run_schema import run_schema

    content = run_schema()
    if out is None:
        put(content.decode(), end="")
        return
    write_output(out, content)
    say(f"wrote {out}")
