"""The store: whole files or none, one line where it cannot be used."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from longlag.service.errors import StoreUnavailable
from longlag.service.store import Store
from longlag.workers.errors import BadFile
from longlag.workers.points import Point
from longlag.workers.probes import DEFAULT_PROBES
from longlag.workers.task import Shard, run_shard


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_nothing_is_made_before_a_writer_asks(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    assert not store.exists()
    assert store.files() == set()
    assert store.revisions() == []
    assert store.sweep() == 0
    assert everything(tmp_path) == []
    store.create()
    store.create()
    assert store.exists()
    assert everything(tmp_path) == ["data", "data/logs", "data/records", "data/studies"]


def test_files_are_the_whole_ones(store: Store) -> None:
    receipt = run_shard(Shard.of([Point(length=2, hidden_size=1)], DEFAULT_PROBES), str(store.root))
    (store.records / ".half.0123.tmp").write_bytes(b"PAR1")
    (store.records / ".hidden.parquet").write_bytes(b"PAR1")
    (store.records / "notes.txt").write_text("mine")
    assert store.files() == {receipt.file}
    scalars = store.scalars(str(receipt.file))
    assert {"point_id", "cell", "status", "half_life", "saturation", "seconds"} <= set(scalars.column_names)
    assert "delta" not in scalars.column_names
    store.delete([str(receipt.file), "records/gone.parquet"])
    assert store.files() == set()
    with pytest.raises(BadFile):
        store.scalars(str(receipt.file))


def test_revisions(store: Store) -> None:
    store.write_revision("b", 10, "ten")
    store.write_revision("b", 9, "nine")
    store.write_revision("a", 1, "é")
    store.write_revision("a", 1, "é")
    (store.studies / "a" / "draft.toml").write_text("not a revision")
    assert store.revisions() == [("a", 1), ("b", 9), ("b", 10)]
    assert store.revision_text("a", 1) == "é"
    with pytest.raises(StoreUnavailable, match="cannot read the store"):
        store.revision_text("a", 2)
    aside = store.retire_study("b")
    assert aside is not None
    assert store.revisions() == [("a", 1)]
    store.restore_study("b", aside)
    assert len(store.revisions()) == 3
    aside = store.retire_study("b")
    assert aside is not None
    store.drop_retired(aside)
    assert store.retire_study("b") is None
    assert everything(store.studies) == ["a", "a/1.toml", "a/draft.toml"]


def test_a_write_that_fails_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_revision("s", 1, "old")
    before = everything(store.root)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for act in (
            lambda: store.write_revision("s", 1, "new"),
            lambda: store.write_revision("s", 2, "new"),
            lambda: store.create(),
            lambda: store.nonce(),
        ):
            with pytest.raises(StoreUnavailable, match="the disk is full; free some space") as e:
                act()
            assert "\n" not in str(e.value)
    assert everything(store.root) == before
    assert store.revision_text("s", 1) == "old"


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreUnavailable, match=r"a file is where a folder must be.* give another folder"):
            Store(path).create()
        assert not Store(path).exists()
    assert everything(tmp_path) == ["file"]


def test_no_permission(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with as_nobody():
        for path in (closed, closed / "data"):
            with pytest.raises(StoreUnavailable, match=r"no permission .*give another folder") as e:
                Store(path).create()
            assert "\n" not in str(e.value)
            assert not Store(path).exists()
    assert everything(tmp_path) == ["closed"]


def test_a_full_disk(tiny_disk: Path) -> None:
    """A real one: what is written stays whole, or is not there."""
    store = Store(tiny_disk / "data")
    store.create()
    store.write_revision("s", 1, "old")
    disk = os.statvfs(tiny_disk)
    (tiny_disk / "ballast").write_bytes(bytes(disk.f_bavail * disk.f_frsize))
    before = everything(tiny_disk)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        store.write_revision("s", 1, "new " * 10_000)
    assert everything(tiny_disk) == before
    assert store.revision_text("s", 1) == "old"


def test_sweep_takes_old_leftovers_only(store: Store) -> None:
    leftovers = [
        store.records / ".a.0.tmp",
        store.root / ".nonce-0",
        store.studies / "s" / ".1.0.tmp",
        store.studies / ".removed-s-0" / "1.toml",
    ]
    for path in leftovers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    kept = [store.root / ".gitignore", store.studies / "s" / "1.toml"]
    for path in kept:
        path.write_text("mine")
    assert store.sweep() == 0
    for path in (*leftovers, *kept, store.studies / ".removed-s-0"):
        os.utime(path, (0, 0))
    assert store.sweep() == 4
    assert not any(path.exists() for path in leftovers)
    assert all(path.exists() for path in kept)


def test_a_word_shows_who_sees_this_folder(store: Store, tmp_path: Path) -> None:
    word = store.nonce()
    assert Store(str(store.root)).check_nonce(word)
    assert not Store(tmp_path / "another").check_nonce(word)
    assert not store.check_nonce("0" * 32)
    store.drop_nonce(word)
    assert not store.check_nonce(word)
    store.drop_nonce(word)
