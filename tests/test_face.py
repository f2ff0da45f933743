"""What users import: the lazy names of the root, and the client with its report."""

from pathlib import Path

import longlag
import pytest
from longlag import Client, Study
from longlag.service import client as service


def test_the_root_names_what_it_says_and_nothing_else() -> None:
    assert set(dir(longlag)) == set(longlag.__all__)
    for name in longlag.__all__:
        assert getattr(longlag, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        longlag.Server  # noqa: B018


def test_the_client_is_the_services_with_a_report() -> None:
    assert issubclass(Client, service.Client)
    assert longlag.Client is Client
    assert {name for name in vars(Client) if name[0] != "_"} == {"report"}


def test_report_writes_one_page_and_its_tables(tmp_path: Path) -> None:
    client = Client(tmp_path / "data", ray="inline")
    study = Study("small", cell=["simple", "lstm"], gamma=[0.5, 0.9], length=8, hidden_size=8, seed=range(2))
    assert client.run(study, lambda progress: None).state == "done"
    page = client.report("small", tmp_path / "out" / "small.html")
    assert page == tmp_path / "out" / "small.html"
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text or "data:image" in text
    assert "small" in text
    assert {path.suffix for path in (tmp_path / "out" / "small_tables").iterdir()} == {".csv"}


def test_report_of_what_is_not_there_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="run a study first"):
        Client(tmp_path / "data").report("small", tmp_path / "small.html")
    assert not list(tmp_path.iterdir())
