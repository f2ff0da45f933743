"""The reference page says what there is: verbs, options, parameters, cells, columns, settings, statuses, tables."""

import importlib.util
import inspect
import re
from pathlib import Path

import pytest
import typer
from longlag import cli
from longlag.analysis.phase import STATUSES
from longlag.face import Client
from longlag.service.jobs import STATES
from longlag.service.models import metadata, views
from longlag.service.settings import Settings
from longlag.service.study import Study
from longlag.workers.cells import CELLS
from longlag.workers.points import PARAMETERS
from longlag.workers.probes import BASE_COLUMNS, PROBES

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "reference.md").read_text(encoding="utf-8")


def test_the_generated_parts_are_what_the_registries_say() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    make_reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_reference)
    assert make_reference.render(PAGE) == PAGE, "run: uv run python docs/make_reference.py"
    assert set(re.findall(r"<!-- begin (\w+) -->", PAGE)) == set(make_reference.PARTS)


GROUP = typer.main.get_command(cli.app)
VERBS = {name: verb for name, verb in GROUP.commands.items() if not verb.hidden}  # type: ignore[attr-defined]
COLUMNS = [c.name for c in BASE_COLUMNS] + [c.name for probe in PROBES.values() for c in probe.columns]
METHODS = [name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"]


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("### longlag {}", [*VERBS]),
        ("| `{}` |", [*PARAMETERS]),
        ("\n### {}\n", [*CELLS]),
        ("\n| {} | ", [*CELLS]),
        ("| `{}` |", COLUMNS),
        ("### Probe `{}`", [*PROBES]),
        ("`LONGLAG_{}`", [name.upper() for name in Settings.model_fields]),
        ("\n| {} | ", [status for status in STATUSES if status != "missing"]),
        ("\n| {} | ", STATES),
        ("\n| {} | ", [0, 1, 2, 3, 130]),
        ("| `{}` |", [*metadata.tables]),
        ("`{}`", [*views([])]),
        ("`client.{}(", METHODS),
    ],
)
def test_the_page_names_every(what: str, names: list[object]) -> None:
    missing = [name for name in names if what.format(name) not in PAGE]
    assert not missing


def test_the_page_has_every_option_of_every_verb() -> None:
    for name, verb in VERBS.items():
        part = re.search(rf"^### longlag {name}\b.*?(?=^###)", PAGE, re.MULTILINE | re.DOTALL)
        assert part, name
        for param in verb.params:
            assert all(option in part[0] for option in param.opts if option.startswith("-")), (
                name,
                param.name,
            )
    for param in GROUP.params:
        assert all(option in PAGE.split("### longlag")[0] for option in param.opts), param.name


def test_every_value_of_a_choice_is_explained() -> None:
    explained = PAGE.split("What the values mean:")[1].split("### Cells")[0]
    for name in ("gamma_kind", "weights", "input", "loss", "loss_times", "target", "gate_init", "gradient"):
        part = re.search(rf"^- `{name}`.*?(?=^- `|\Z)", explained, re.MULTILINE | re.DOTALL)
        assert part, name
        for choice in PARAMETERS[name].choices or ("last", "every"):
            assert f"*{choice}*" in part[0], f"{name} = {choice}"


def test_the_study_file_on_the_page_is_one() -> None:
    block = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert block
    study = Study.from_toml(block[1])
    assert study.name == "keep-or-forget"
    assert study.size == 2 * 5 * (2 * 11 + 2 * 5)
