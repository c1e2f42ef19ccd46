"""The command line: which verbs there are, and what happens when something goes wrong.

A verb's module is imported when that verb is called, so `beholder --help` stays fast whatever the verbs need.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated

import typer

from beholder import __version__
from beholder.errors import UserError


class Stopped(Exception):
    """Ctrl-C in a verb that knows better than its `when_stopped` what to tell: the message."""


@dataclass(frozen=True)
class Verb:
    """One verb of the command line."""

    load: str
    """`module:attribute` of a function, or of a `typer.Typer` for a verb that has verbs of its own.

    A function that is to end with another exit code than 0 returns it, or raises `typer.Exit(code)`.
    """
    help: str
    """One line for `beholder --help`."""
    extra: str | None = None
    """What to install beyond the core, as in `pip install 'beholder[extra]'`."""
    when_stopped: str = ""
    """What to tell a person who pressed Ctrl-C."""


VERBS = {
    "score": Verb(
        "beholder.cli.score:score",
        "Score pictures for quality and aesthetics, 0 to 100.",
        when_stopped="Finished parts are kept: the same command with --resume goes on from there.",
    ),
    "merge": Verb("beholder.cli.merge:merge", "Make one file of scores of several, as many machines leave them."),
    "report": Verb("beholder.cli.report:report", "Make one page about scored pictures, to look at and to share."),
    "select": Verb(
        "beholder.cli.select:select",
        "Copy, link or list the best pictures by their scores.",
        when_stopped="A copy is not lost: the same command goes on from there.",
    ),
    "upscale": Verb(
        "beholder.cli.upscale:upscale",
        "Make pictures larger, by a model that adds detail.",
        extra="restore",
        when_stopped="Finished pictures are kept: the same command goes on from there.",
    ),
    "serve": Verb("beholder.cli.serve:serve", "Score pictures over HTTP, with a page to drop them on.", extra="serve"),
    "models": Verb("beholder.cli.models:app", "What the numbers mean, and how accurate they are."),
    "evaluate": Verb(
        "beholder.cli.evaluate:app",
        "Measure a model on rated pictures, or restored pictures.",
        extra="evaluate",
    ),
    "compare": Verb("beholder.cli.compare:compare", "Compare two evaluations on the same pictures.", extra="evaluate"),
    "data": Verb("beholder.cli.data:app", "Import rated data sets, check splits for leaks, write texts."),
    "train": Verb(
        "beholder.cli.train:app",
        "Train a model from a recipe.",
        extra="train",
        when_stopped="The same command goes on from what is finished.",
    ),
    "emotion": Verb("beholder.cli.emotion:app", "Emotion from several modalities that may disagree.", extra="emotion"),
    "convert": Verb("beholder.cli.convert:app", "Read weights that others published.", extra="train"),
    "export": Verb("beholder.cli.export:export", "Write a trained model for scoring without torch.", extra="train"),
    "doctor": Verb("beholder.cli.doctor:doctor", "Say what is installed, what works here, and what to add."),
}

COMPLETE = "_BEHOLDER_COMPLETE"
"""The variable by which a shell asks what may come next; the scripts of `--install-completion` set it."""

# Its class moved when typer took click in; its place above BadParameter did not.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `beholder` and return its exit code: 0 all well, 1 nothing done, 2 done with too many failed rows,
    130 stopped.

    A mistake of the user's ends as one line on stderr. Everything else is a bug and keeps its traceback.
    """
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    completing = os.environ.get(COMPLETE) is not None
    called = next((word for word in (_words_to_complete() if completing else given) if not word.startswith("-")), "")
    # Waiting threads of OpenMP spin by default: on a busy machine torch then takes more than twice as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold bytes that no encoding can print
    try:
        code = _app(called)(given, prog_name="beholder", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python's own last flush complains
        return 1
    except KeyboardInterrupt:
        code = 130
    except Stopped as stop:
        return _fail(str(stop), code=130)
    except _UsageError as error:
        return _fail(_usage_line(error))
    except UserError as error:
        return _fail(str(error))
    except OSError as error:
        if error.strerror is None:
            raise
        return _fail(error.strerror + (f": {error.filename!r}" if error.filename is not None else ""))
    except ModuleNotFoundError as error:
        verb = VERBS.get(called)
        if completing:
            return 1  # in the middle of somebody's line nothing is to be said
        if verb is None or verb.extra is None or (error.name or "").startswith("beholder"):
            raise
        return _fail(f"{called} needs {error.name}, which is not installed. Try: pip install 'beholder[{verb.extra}]'")
    if code == 130:
        verb = VERBS.get(called)
        return _fail(f"stopped. {verb.when_stopped if verb else ''}", code=130)
    return code if isinstance(code, int) else 0


def _app(called: str) -> typer.Typer:
    """The command tree. Only the verb that is called is loaded; of the others it knows the name and one line."""
    app = typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # help in boxes takes four times as long to appear
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def beholder(
        version: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_show_version)] = False,
    ) -> None:
        """How does this picture look to people? Quality and aesthetics scores, offline, in seconds."""

    for name, verb in VERBS.items():
        if name != called:
            app.command(name, help=verb.help)(_not_called)
            continue
        loaded = _load(verb)
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=name, help=verb.help)
        else:
            app.command(name)(loaded)
    return app


def _words_to_complete() -> list[str]:
    """What stands after `beholder` on the line that a shell wants to have completed."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")  # bash; all others
    return line.split()[1:]


def _load(verb: Verb) -> typer.Typer | Callable[..., object]:
    module, attribute = verb.load.split(":")
    loaded: typer.Typer | Callable[..., object] = getattr(import_module(module), attribute)
    return loaded


def _not_called() -> None:
    raise AssertionError("a verb that was not loaded was called")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"beholder {__version__}")
        raise typer.Exit


def _usage_line(error: Exception) -> str:
    from pydantic import ValidationError

    message: str = error.format_message()  # type: ignore[attr-defined]
    if isinstance(error.__cause__, ValidationError):  # then typer says what is allowed, but not what it was given
        message += f", got {error.__cause__.errors()[0]['input']!r}"
    context = getattr(error, "ctx", None)
    stop = "" if message.endswith((".", "?")) else "."
    return f"{message}{stop} Try: {context.command_path if context else 'beholder'} --help"


def _fail(message: str, code: int = 1) -> int:
    line = " ".join(part.strip() for part in message.splitlines())
    print(f"beholder: {line}".rstrip(), file=sys.stderr)
    return code
