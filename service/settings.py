"""What the environment and the caller say about where to keep and where to compute: one frozen object.

Read once at the edge (a client, a command, a driver); nothing else looks at ``LONGLAG_*``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ByteSize, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from .errors import InvalidSettings

_PREFIX = "LONGLAG_"


class Settings(BaseSettings):
    """Where the data lies, which database, where Ray is, how much of the machine to use."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    data: str = Field("./longlag-data", description="folder of the store; made absolute")
    db: str = Field(
        "", repr=False, description="SQLAlchemy URL of the index; default: index.sqlite in the data folder"
    )
    ray: str = Field(
        "local", description="local, inline (no Ray, this process), auto, or host:port of a cluster's head"
    )
    workers: int | None = Field(None, ge=1, description="points are computed by so many; default: every core")
    memory: ByteSize = Field(
        ByteSize(2**30), ge=2**26, description="memory of one worker, such as 512MiB or 2GiB"
    )

    @field_validator("data", mode="before")
    @classmethod
    def _folder(cls, data: Any) -> Any:
        if isinstance(data, os.PathLike):
            data = os.fspath(data)
        if not isinstance(data, str) or not data:
            raise ValueError("give a folder")
        if "://" in data:
            raise ValueError("give a folder: a store is a path that every worker sees, not a URL")
        return str(Path(data).expanduser().absolute())

    @field_validator("ray")
    @classmethod
    def _where(cls, ray: str) -> str:
        host, _, port = ray.rpartition(":")
        if ray in ("local", "inline", "auto") or (host and "/" not in host and port.isdecimal()):
            return ray
        raise ValueError("give local, inline, auto, or host:port of a cluster's head")

    @field_validator("db")
    @classmethod
    def _url(cls, db: str) -> str:
        """Relative SQLite paths are made absolute, so that a driver in another folder means the same file."""
        if not db:
            return db
        try:
            url = make_url(db)
        except ArgumentError:
            raise ValueError("give a SQLAlchemy URL: sqlite:///FILE or postgresql://user@host/name") from None
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            url = url.set(database=str(Path(url.database).expanduser().absolute()))
        return url.render_as_string(hide_password=False)

    @classmethod
    def read(cls, **given: Any) -> Settings:
        """The caller's values first (None means not given), then the environment, then the defaults.

        Raises InvalidSettings in one line: what was given, what is allowed.
        """
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise InvalidSettings("; ".join(_line(problem) for problem in error.errors())) from None

    @property
    def root(self) -> Path:
        """The store's folder, absolute."""
        return Path(self.data)

    @property
    def database(self) -> str:
        """The index's URL: the one given, or ``index.sqlite`` in the store's folder."""
        return self.db or f"sqlite:///{self.root / 'index.sqlite'}"

    @property
    def slots(self) -> int:
        """How many points are computed at once on this machine."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def environment(self) -> dict[str, str]:
        """This process's variables with these settings among them, for a driver that is a process of its own."""
        values = {"data": self.data, "db": self.db, "ray": self.ray, "memory": str(int(self.memory))}
        if self.workers:
            values["workers"] = str(self.workers)
        return {**os.environ, **{_PREFIX + name.upper(): value for name, value in values.items()}}


def _line(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    own = problem["type"] == "value_error"  # pydantic's own messages do not say what the setting is
    what = (
        ""
        if own or name not in Settings.model_fields
        else f"; {name}: {Settings.model_fields[name].description}"
    )
    given = f"{name} = {problem['input']!r}: {message[:1].lower()}{message[1:]}"
    return f"{given}{what} (or {_PREFIX}{name.upper()})"
