"""What every verb of the command line shares: the common options, and errors as one line. Imports typer only.

The common options may stand before the verb or after it, so that ``longlag --data D jobs`` and
``longlag jobs --data D`` are the same.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from io import TextIOWrapper
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from .face import Client
    from .screen import Screen

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Of click, or of the copy of it that newer typers bring along."""

_SETTINGS = ("data", "db", "ray", "workers", "memory")


@dataclass(frozen=True)
class Options:
    """The common options as they were given; None: the environment's value, or the default, counts."""

    data: str | None = None
    db: str | None = None
    ray: str | None = None
    workers: int | None = None
    memory: str | None = None
    quiet: bool = False
    debug: bool = False

    def client(self) -> Client:
        """The client that these options ask for; it makes nothing until something is submitted."""
        from .face import Client

        return Client(**{name: value for name in _SETTINGS if (value := getattr(self, name)) is not None})

    @property
    def command(self) -> str:
        """How longlag is typed here, with the store and the index that were given: for hints of what to type."""
        given = [
            f"--{name} {shlex.quote(value)}" for name in ("data", "db") if (value := getattr(self, name))
        ]
        return " ".join(["uv run longlag" if "UV_RUN_RECURSION_DEPTH" in os.environ else "longlag", *given])

    @cached_property
    def screen(self) -> Screen:
        """Where this command writes."""
        from .screen import Screen

        return Screen(self.quiet)


class Verb(TyperCommand):
    """One verb: it takes the common options too, leaves them in ``ctx.obj``, and its errors are one line."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *_common(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        common = _common(ctx)
        own = [param for param in self.get_params(ctx) if param not in common]
        for title, params in (
            ("Arguments", [p for p in own if p.param_type_name == "argument"]),
            ("Options", [p for p in own if p.param_type_name == "option"]),
            ("Common options, before the verb or after it", common),
        ):
            records = [record for p in params if (record := p.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def invoke(self, ctx: Any) -> Any:
        after = {param.name: ctx.params.pop(param.name, None) for param in _common(ctx)}
        before = ctx.parent.params
        names = [field.name for field in fields(Options)]
        given = {n: before.get(n) if after.get(n) is None or after[n] is False else after[n] for n in names}
        ctx.obj = options = Options(**given)
        with reported(options):
            return super().invoke(ctx)


class Verbs(TyperGroup):
    """The verbs in sections, so that the help can be taken in at a glance."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer has it, but a verb that people do not type is not suggested to them either."""
        hidden = {name: self.commands.pop(name) for name, verb in [*self.commands.items()] if verb.hidden}
        if args and args[0] in hidden:
            self.commands.update(hidden)
        try:
            return super().resolve_command(ctx, args)
        finally:
            self.commands.update(hidden)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        shown = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        shown = [(name, verb) for name, verb in shown if not verb.hidden]
        limit = formatter.width - 6 - max(len(name) for name, _ in shown)
        for title, verbs in groupby(shown, lambda item: getattr(item[1], "rich_help_panel", None)):
            with formatter.section(str(title)):
                formatter.write_dl([(name, verb.get_short_help_str(limit)) for name, verb in verbs])


def _common(ctx: Any) -> list[Any]:
    return list(ctx.find_root().command.params)


@contextmanager
def reported(options: Options) -> Iterator[None]:
    """Whatever goes wrong as one line on standard error and an exit code; ``--debug`` shows the traceback."""
    try:
        yield
    except (typer.Exit, typer.Abort, UsageError, BrokenPipeError):
        raise
    except KeyboardInterrupt as stop:
        options.screen.error(str(stop) or "by Ctrl-C", kind="stopped")
        raise typer.Exit(130) from None
    except Exception as problem:
        if options.debug:
            raise
        options.screen.error(_line(problem))
        raise typer.Exit(_code(problem)) from None


class _Misuse(Exception):
    """What was given to a verb cannot be: the exit code is that of a wrong call."""


@contextmanager
def as_given() -> Iterator[None]:
    """Around what reads a verb's arguments, files among them: what is wrong with them is a wrong call."""
    from .workers.errors import LonglagError, TooLarge

    try:
        yield
    except TooLarge:
        raise
    except (LonglagError, OSError) as problem:
        raise _Misuse(_line(problem)) from problem


_HINTS = {
    errno.ENOENT: "give the path of one that is there",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "give a path whose folders are folders",
    errno.EACCES: "see to its permissions, or give another",
    errno.ENOSPC: "make room, or give a path on another disk",
}
"""What to do, by what the system says is wrong with a path."""


def _line(problem: Exception) -> str:
    from .workers.errors import LonglagError

    text = " ".join(str(problem).split())
    if isinstance(problem, LonglagError | _Misuse):
        return text
    if isinstance(problem, OSError):
        what = problem.strerror or text
        hint = f": {_HINTS[problem.errno]}" if problem.errno in _HINTS else ""
        return (f"{problem.filename}: {what}" if problem.filename else what) + hint
    return f"{type(problem).__name__}: {text} (a mistake in longlag; --debug shows where)"


def _code(problem: Exception) -> int:
    """2 where an option, or the variable in its place, is wrong."""
    from .service.errors import InvalidSettings

    return 2 if isinstance(problem, InvalidSettings | _Misuse) else 1


def run(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code. A wrong call is one line, and 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without γ gets ?, not a traceback
    try:
        code = app(args=arguments, prog_name="longlag", standalone_mode=False)
    except UsageError as problem:
        context = getattr(problem, "ctx", None)
        message = " ".join(problem.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
        message = message[:1].lower() + message[1:]
        sys.stderr.write(f"error: {message} ({context.command_path if context else 'longlag'} --help)\n")
        return 2
    except typer.Abort:
        sys.stderr.write("stopped\n")
        return 130
    return code if isinstance(code, int) else 0


def conditions(texts: list[str]) -> dict[str, object]:
    """``cell=lstm`` and ``gamma=0.9,0.99`` as the client takes them."""
    found: dict[str, object] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"--where {text!r}: give COLUMN=VALUE or COLUMN=VALUE,VALUE")
        several = [_value(value.strip()) for value in values.split(",")]
        found[name.strip()] = several if len(several) > 1 else several[0]
    return found


def _value(text: str) -> object:
    plain: dict[str, object] = {"true": True, "false": False, "null": None, "none": None}
    if text.lower() in plain:
        return plain[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
