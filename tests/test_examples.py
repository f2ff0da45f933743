"""Every study in examples/ runs, at reduced size, and its report has what the study is about."""

from pathlib import Path

import pytest
from longlag import Client, Study
from longlag.service.axes import Axis, is_axis
from longlag.workers.points import PARAMETERS

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = {"length": 24, "hidden_size": 6, "batch_size": 2, "input_size": 3}


def reduced(study: Study) -> Study:
    """The same grid with small networks and at most two values an axis, the first and the last."""

    def small(grid: dict) -> dict:
        made = {}
        for name, value in grid.items():
            values = list(value) if is_axis(value) or isinstance(value, Axis | range) else [value]
            kept = values if PARAMETERS[name].choices else list(dict.fromkeys([values[0], values[-1]]))
            if name in SMALL:
                kept = [min(v, SMALL[name]) for v in kept]
            made[name] = list(dict.fromkeys(kept))
        return made

    shared = SMALL | small(study.shared)
    return Study(study.name, [small(g) for g in study.grids], study.description, study.probes, **shared)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_study_of_the_examples(path: Path, tmp_path: Path) -> None:
    study = Study.from_file(path)
    assert study.name == path.stem.replace("_", "-")
    assert study.description
    assert study.size <= 2000
    client = Client(data=str(tmp_path / "data"), ray="inline")
    client.run(reduced(study), on_progress=lambda _: None)
    runs = client.runs(study.name)
    assert len(runs) == client.show(study.name).revision.size
    assert set(runs["status"]) <= {"ok", "dead", "overflow", "unreachable"}
    assert (runs["status"] == "ok").mean() > 0.5
    page = client.report(study.name, tmp_path / "report.html").read_text()
    assert study.description.split(":")[0].split(" (")[0] in page
