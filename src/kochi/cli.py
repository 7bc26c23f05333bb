"""The ``kochi`` command: its subcommands and its error handling.

An error that the user can fix prints one line to stderr and exits with code 2; an interrupt exits
with code 130. Any other exception is a bug and prints its traceback.
"""

import contextlib
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any

import typer

from kochi import __version__
from kochi.commands.align import align
from kochi.commands.compare import compare
from kochi.commands.evaluate import evaluate
from kochi.commands.init import init
from kochi.commands.mechanisms import mechanisms
from kochi.commands.predict import predict
from kochi.commands.scenes import scenes
from kochi.commands.schema import schema
from kochi.commands.show import show
from kochi.commands.study import study
from kochi.commands.train import train
from kochi.components import ComponentError
from kochi.errors import Interrupted, UserError
from kochi.extras import EXTRAS, missing
from kochi.printing import guard_stderr, say
from kochi.reading import shortened
from kochi.streams import forget_output, is_closed, open_closed_streams

USER_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 1  # the same code as typer
LONGEST_MESSAGE = 2_000  # characters: a message may quote a cell or a key of the user's file

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _verb in (
    init,
    train,
    predict,
    evaluate,
    compare,
    show,
    align,
    study,
    mechanisms,
    schema,
    scenes,
):
    app.command(epilog=getattr(_verb, "example", None))(_verb)


def _print_version(wanted: bool) -> bool:
    if wanted:
        say(f"kochi {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def kochi(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Train and use attention models that turn text, speech or images into text.

    Start with 'kochi init DATA', then 'kochi train run.toml'.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; without arguments, print the help.

    Args:
        arguments: The arguments after ``kochi``. None takes those of this process, which is
            expected to exit afterwards: streams that the caller closed are replaced, control
            characters that other code writes to stderr are made visible, and further Ctrl-Cs
            during shutdown are ignored.
    """
    if arguments is not None:
        return _run(list(arguments))
    warnings.formatwarning = lambda message, *rest, **more: f"kochi: warning: {message}\n"
    open_closed_streams()
    guard_stderr()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt_once)
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:  # raised while an error was being reported
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """Stop at the first Ctrl-C and ignore further ones during shutdown."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


# Training handles the Ctrl-C itself and then ends the command; it must not be raised again.
_interrupt_once.only_once = True  # pyright: ignore[reportFunctionMemberAccess]


def _run(words: list[str]) -> int:
    try:
        code = app(words or ["--help"], prog_name="kochi", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _complain(f"{_usage(error)} (see '{_path(error)} --help')", USER_ERROR)
    except (UserError, ComponentError) as error:
        return _complain(str(error), USER_ERROR)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        return _complain(str(missing(package)), USER_ERROR)
    except Interrupted as error:
        return _complain(str(error), INTERRUPTED)
    except KeyboardInterrupt:
        return _complain("stopped", INTERRUPTED)
    except MemoryError:
        return _complain(
            "out of memory; use a smaller batch, shorter inputs or a smaller model", USER_ERROR
        )
    except BrokenPipeError:
        forget_output()  # the reader has closed the pipe
        return BROKEN_PIPE
    except OSError as error:
        if is_closed(error):
            forget_output()
            return _complain(
                "standard input or output is closed; open it, or name files", USER_ERROR
            )
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}", USER_ERROR)
    if code == INTERRUPTED:
        return _complain("stopped", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int) -> int:
    line = f"kochi: {shortened(' '.join(message.split()), LONGEST_MESSAGE)}"
    with contextlib.suppress(OSError):  # the terminal may be gone
        say(line, error=True)
    return code


def _usage(error: Any) -> str:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return message.rstrip(".")


def _path(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context else "kochi"
