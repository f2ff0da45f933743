"""The store: one folder with the Parquet files of the shards, the studies' texts and the drivers' logs.

    records/<shard>.parquet             what workers have measured; written by ``workers.records``
    studies/<name>/<revision>.toml      every revision of every study
    logs/<job>.log                      what a driver says
    scorecard.json                      what ``verify`` found last, for the reports

It describes itself: copied to another machine it can be opened there, and the index can be made from it anew.
Nothing here is ever half there: a file is written aside, synced and renamed. Names of files are relative to the
store's root, with "/".
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from ..workers import records
from ..workers.probes import PROBES
from .errors import StoreUnavailable, first_line

_REMOVED = ".removed-"
_SCALARS = [field.name for field in records.schema(PROBES) if not pa.types.is_list(field.type)]


class Store:
    """The files of every study under one folder; making the object touches nothing."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.root = Path(path).expanduser().absolute()
        self.records = self.root / "records"
        self.studies = self.root / "studies"
        self.logs = self.root / "logs"

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def create(self) -> None:
        """Make the folders, and see that files can be made there. Only writers call this."""
        with self._readable_errors("create"):
            for folder in (self.records, self.studies, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.root, self.records):
                trial = folder / f".trial-{secrets.token_hex(8)}.tmp"
                _write_synced(trial, "can this folder be written?")
                trial.unlink()

    def exists(self) -> bool:
        """Whether a store is there; a folder that cannot be looked into counts as none."""
        try:
            return self.records.is_dir()
        except OSError:
            return False

    def path(self, file: str) -> Path:
        """Where a file of the store lies."""
        return self.root / file

    def files(self) -> set[str]:
        """Names of all whole record files, as the index has them: ``records/<shard>.parquet``."""
        with self._readable_errors("read"):
            try:
                entries = os.scandir(self.records)
            except FileNotFoundError:
                return set()
            with entries:
                names = [e.name for e in entries if e.name.endswith(".parquet") and e.name[0] != "."]
            return {f"records/{name}" for name in names}

    def scalars(self, file: str) -> pa.Table:
        """The columns of a record file that have one value a row: those that the index keeps.

        Raises BadFile where the file is missing or broken.
        """
        return records.read(self.path(file), _SCALARS)

    def delete(self, files: Iterable[str]) -> None:
        """Delete files; one that is gone already is no error."""
        with self._readable_errors("delete a file in"):
            for file in files:
                self.path(file).unlink(missing_ok=True)

    def sweep(self, older_than: float = 3600.0) -> int:
        """Delete what interrupted writers left aside more than so many seconds ago; returns how many."""
        limit, swept = time.time() - older_than, 0
        for path in self._leftovers():
            try:
                if path.stat().st_mtime >= limit:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
            except FileNotFoundError:
                continue
            except OSError:  # someone else's, or no permission: it is in nobody's way
                continue
            swept += 1
        return swept

    def _leftovers(self) -> Iterator[Path]:
        yield from self.root.glob(".nonce-*")
        yield from self.root.glob(".trial-*.tmp")
        yield from self.records.glob(".*.tmp")
        yield from self.studies.glob("*/.*.tmp")
        yield from self.studies.glob(f"{_REMOVED}*")

    def keep_scorecard(self, text: str) -> None:
        """Keep what ``verify`` found, in place of what it had found before."""
        aside = self.root / f".trial-{secrets.token_hex(8)}.tmp"
        with self._readable_errors("write to"):
            try:
                _write_synced(aside, text)
                os.replace(aside, self.root / "scorecard.json")
            finally:
                aside.unlink(missing_ok=True)

    def scorecard(self) -> str | None:
        """What ``verify`` has found last; None where it has not been run on this store."""
        try:
            return (self.root / "scorecard.json").read_text(encoding="utf-8")
        except OSError:
            return None

    # ---- studies

    def write_revision(self, name: str, revision: int, toml: str) -> None:
        """Keep the text of a revision; repeatable, and whole or not at all."""
        folder = self.studies / name
        path = folder / f"{revision}.toml"
        with self._readable_errors("write to"):
            if path.is_file() and path.read_text(encoding="utf-8") == toml:
                return
            folder.mkdir(parents=True, exist_ok=True)
            aside = folder / f".{revision}.{secrets.token_hex(8)}.tmp"
            try:
                _write_synced(aside, toml)
                os.replace(aside, path)
            finally:
                aside.unlink(missing_ok=True)
            _sync_folder(folder)

    def revisions(self) -> list[tuple[str, int]]:
        """Name and number of every revision, in order; ``revision_text`` reads one."""
        found = [(path.parent.name, path.stem) for path in self.studies.glob("[!.]*/[!.]*.toml")]
        return sorted((name, int(stem)) for name, stem in found if stem.isdecimal())

    def revision_text(self, name: str, revision: int) -> str:
        """The text of a revision. Raises StoreUnavailable where it cannot be read."""
        with self._readable_errors("read"):
            return (self.studies / name / f"{revision}.toml").read_text(encoding="utf-8")

    def retire_study(self, name: str) -> Path | None:
        """Take a study's texts out of sight in one step; returns where they are, for ``restore_study``."""
        aside = self.studies / f"{_REMOVED}{name}-{secrets.token_hex(8)}"
        with self._readable_errors("remove a study from"):
            try:
                os.rename(self.studies / name, aside)
            except FileNotFoundError:
                return None
            _sync_folder(self.studies)
        return aside

    def restore_study(self, name: str, aside: Path) -> None:
        """Undo ``retire_study``."""
        with self._readable_errors("restore a study in"):
            os.rename(aside, self.studies / name)

    def drop_retired(self, aside: Path) -> None:
        """Delete what ``retire_study`` has taken out of sight."""
        shutil.rmtree(aside, ignore_errors=True)

    # ---- does every node see this folder?

    def nonce(self) -> str:
        """Leave a new word in the store; a node that sees this very folder can confirm it."""
        word = secrets.token_hex(16)
        with self._readable_errors("write to"):
            _write_synced(self.root / f".nonce-{word}", word)
            _sync_folder(self.root)
        return word

    def check_nonce(self, word: str) -> bool:
        """Whether the word is here, as seen from this process."""
        try:
            return (self.root / f".nonce-{word}").read_text(encoding="utf-8") == word
        except OSError:
            return False

    def drop_nonce(self, word: str) -> None:
        """Take the word away again."""
        (self.root / f".nonce-{word}").unlink(missing_ok=True)

    @contextmanager
    def _readable_errors(self, verb: str) -> Iterator[None]:
        """An OSError as one line: which store, what is wrong with it, and what to do."""
        try:
            yield
        except OSError as problem:
            raise StoreUnavailable(f"cannot {verb} the store {self.root}: {remedy(problem)}") from None


def remedy(problem: OSError) -> str:
    """What an error of the file system means, and what to do about it."""
    where = f" ({problem.filename})" if problem.filename else ""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space and run the same command again: what is done is kept"
    if problem.errno in (errno.EACCES, errno.EPERM):
        return f"no permission{where}; give another folder (--data, LONGLAG_DATA) or change its permissions"
    if problem.errno == errno.EROFS:
        return "the file system is read-only; give another folder (--data, LONGLAG_DATA)"
    if problem.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"a file is where a folder must be{where}; give another folder (--data, LONGLAG_DATA)"
    return f"{problem.strerror or first_line(problem)}{where}"


def _write_synced(path: Path, text: str) -> None:
    """Write a new file to the disk itself; where that fails there is none."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
