"""What the demos share: their command line, their course, and how they speak."""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from kochi.cli import main as run_kochi
from kochi.errors import UserError

console = Console(highlight=False)


@dataclass(frozen=True)
class Demo:
    """A demo that trains a run file on data that it writes, and reports on the model.

    Attributes:
        purpose: What ``--help`` says.
        recipe: The run file.
        folder: Where everything goes; the model into its folder ``model``.
        picture: The picture that ``report`` draws.
        write_data: Writes the data into the folder.
        report: Measures and shows the model in the folder.
        next_commands: What to type next, given how kochi is called from here and the model.
    """

    purpose: str
    recipe: Path
    folder: Path
    picture: str
    write_data: Callable[[Path], None]
    report: Callable[[Path], None]
    next_commands: Callable[[str, str], list[str]]

    def main(self, arguments: list[str] | None = None) -> int:
        """Run it; with ``--no-training`` on the model that is there already."""
        parser = argparse.ArgumentParser(description=self.purpose)
        parser.add_argument("--no-training", action="store_true", help="use the model there is")
        parser.add_argument("--set", action="append", default=[], help="as for 'kochi train'")
        options = parser.parse_args(arguments)
        began = time.monotonic()
        if not options.no_training:
            self.write_data(self.folder)
            changes = [part for change in options.set for part in ("--set", change)]
            say(f"$ kochi train {shown(self.recipe)} --overwrite {' '.join(changes)}")
            code = run_kochi(["train", str(self.recipe), "--overwrite", *changes])
            if code:
                return code
        try:
            self.report(self.folder)
        except UserError as error:
            print(f"kochi: {error}", file=sys.stderr)
            return 2
        self._say_what_next(int(time.monotonic() - began))
        return 0

    def _say_what_next(self, seconds: int) -> None:
        model, command = shown(self.folder / "model"), Path(sys.executable).with_name("kochi")
        lines = "".join(f"\n  {line}" for line in self.next_commands(shown(command), model))
        say(
            f"\nDone in {seconds // 60}:{seconds % 60:02d}. "
            f"Model: {model}/   picture: {shown(self.folder / self.picture)}\n\nType next:{lines}"
        )


def shown(path: Path) -> str:
    """Return a path as seen from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def say(text: str) -> None:
    """Print a paragraph."""
    console.print(text, markup=False, soft_wrap=True)
