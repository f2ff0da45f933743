"""The report: one page that needs nothing else, its tables beside it, for any study."""

import ast
import base64
import importlib
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import analysis_frames as make
import matplotlib as mpl
import pandas as pd
import pyarrow as pa
import pytest
from longlag.analysis import report
from longlag.analysis.figures import FIGURES
from longlag.analysis.figures.sheet import fitted, picture, save, style
from longlag.analysis.load import from_rows, points_frame
from longlag.service.client import Client
from longlag.service.study import Study
from longlag.workers.measure import measure

USUAL = [name for name, figure in FIGURES.items() if not figure.optional]
SECTIONS = ["findings", "coverage", *USUAL, "compare", "words", "files"]


class Page(HTMLParser):
    """Tags, pictures, addresses and visible text of a page; tags have to be balanced."""

    VOID = ("meta", "img", "link", "br", "hr", "input")

    def __init__(self, html):
        super().__init__()
        self.ids, self.pictures, self.links, self.open, self.text = [], [], [], [], ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src", "action", "data", "srcset") if name in given]
        self.pictures += [given] if tag == "img" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def mixed():
    some = make.points(3, cell="simple", activation=["tanh", "relu"], gamma=[0.9, 1.0, 1.1], length=[16, 64])
    some += make.points(3, cell=["memory", "linear"], gamma=[0.9, 1.0, 1.1], length=[16, 64])
    return some + make.points(3, cell="lstm", gamma=[0.9, 0.99], length=[16, 64])


def slope(p):
    return -0.3 * (1.2 - p.gamma) - 0.01 * p.seed - 0.1 * (p.activation == "relu")


@pytest.fixture(scope="module")
def built():
    some = mixed()
    status = lambda p: "dead" if p.gamma == 1.1 and p.activation == "relu" else "ok"  # noqa: E731
    given = make.frames(some[:-1], slope, status, gates=math.log(0.9))
    return report.build_report(**given, title="a <study> & more", points=points_frame(some), study="mixed")


@pytest.fixture(scope="module")
def html(built):
    return built.html()


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_it_has_every_section(page, built):
    assert page.ids == SECTIONS
    for name, figure in FIGURES.items():
        assert (figure.question in page.text) is (name in USUAL)
    assert not [s.name for s in built.sections if s.missing]


def test_it_needs_nothing_from_elsewhere(html, page):
    assert "http:" not in html
    assert "https:" not in html
    assert "//" not in re.sub(r"base64,[^\"]*", "", html)
    assert all(link.startswith(("data:image/svg+xml;base64,", "#", "report_tables/")) for link in page.links)
    assert "<script" not in html
    for one in page.pictures:
        svg = base64.b64decode(one["src"].split(",")[1]).decode()
        addresses = set(re.findall(r"https?://[^\s\"'<>]+", svg))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert "prefers-color-scheme:dark" in svg


def test_every_picture_is_told_to_those_who_cannot_see_it(page):
    assert len(page.pictures) > len(FIGURES)
    assert all(len(one["alt"]) > 30 for one in page.pictures)
    assert any("9.2" in one["alt"] or "γ = 1" in one["alt"] for one in page.pictures)


def test_what_was_measured_is_in_the_text(page, built):
    for finding in built.findings:
        assert finding.see in page.ids
    assert "a <study> & more" in page.text
    assert "a reference, no bound" not in page.text  # it is in the pictures; the caption says it in words
    assert "for LSTM a reference and no bound" in page.text
    assert "> 63" in page.text
    assert re.search(r"missing\s*simple tanh", page.text) or "1 point not there yet" in page.text


def test_it_is_written_whole_with_its_tables(built, tmp_path):
    path = built.write(tmp_path / "deep" / "report.html")
    assert sorted(p.name for p in path.parent.iterdir()) == ["report.html", "report_tables"]
    assert sorted(p.stem for p in (path.parent / "report_tables").iterdir()) == sorted(report.TABLES)
    horizons = pd.read_csv(path.parent / "report_tables" / "horizon.csv")
    one = horizons[
        (horizons.variant == "simple tanh") & (horizons.level == "horizon_1") & (horizons.gamma == 0.9)
    ]
    assert one[one.length == 64].centre.item() == pytest.approx(math.exp(_mean_ln_horizon()), rel=1e-6)
    assert path.stat().st_size < 3_000_000


def _mean_ln_horizon():
    return sum(math.log(math.log(0.01) / (-0.09 - 0.01 * seed)) for seed in range(3)) / 3


def test_a_report_that_cannot_be_written_leaves_the_old_one(built, tmp_path):
    path = tmp_path / "report.html"
    path.mkdir()
    with pytest.raises(OSError):
        built.write(path)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_report_that_breaks_off_leaves_the_old_one(built, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("no space left")

    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(report.os, "replace", broken)
    with pytest.raises(OSError, match="no space left"):
        built.write(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["report.html"]


def test_pictures_leave_matplotlib_as_it_was(built):
    before = dict(mpl.rcParams)
    svg = picture(FIGURES["horizons"].panels(built.frames)[0])
    assert svg.startswith(b"<svg")
    assert dict(mpl.rcParams) == before


def test_nobody_imports_pyplot():
    for file in (Path(report.__file__).parent).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not any("pyplot" in name for name in names), file


@pytest.mark.parametrize(
    ("name", "ending", "start"), [("horizons", "png", b"\x89PNG"), ("gammas", "pdf", b"%PDF")]
)
def test_a_figure_can_be_saved_as_one_sheet(name, ending, start, built, tmp_path):
    path = tmp_path / f"figure.{ending}"
    save(FIGURES[name], built.frames, path)
    assert path.read_bytes().startswith(start)


# -- any study -----------------------------------------------------------------------------------------------------


def measured(some):
    shapes = {}
    for point in some:
        shapes.setdefault(point.shape, []).append(point)
    return from_rows(pa.concat_tables([measure(several) for several in shapes.values()]))


SMALL = {"hidden_size": 4, "batch_size": 2}
STUDIES = {
    "one point": make.points(1, length=24, **SMALL),
    "one step": make.points(2, cell=["simple", "gru"], length=[1, 2], **SMALL),
    "unreachable": make.points(2, cell="residual", leak=[0.1, 0.5], gamma=[0.6, 1.0], length=12, **SMALL),
    "dead": make.points(2, activation="relu", hidden_size=1, input="zero", length=12, batch_size=1),
    "biased": make.points(
        2, cell="memory", activation=["relu", "tanh"], input_size=[1, 4], length=24, **SMALL
    ),
    "overflow": make.points(2, cell="linear", gamma=[1.0, 1e30], length=40, **SMALL),
    "losses": make.points(
        2, cell="gru", reset=["before", "after"], loss_times=["every", "last"], length=12, **SMALL
    ),
}


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_any_study_has_a_report(name):
    frames = measured(STUDIES[name])
    built = report.report_of(frames)
    page = Page(built.html())
    titles = {name: FIGURES[name].title for name in USUAL}
    assert set(SECTIONS) - set(titles) - {"compare"} <= set(page.ids)
    for name, title in titles.items():  # there, or said why it is not
        assert (name in page.ids) is not (f"No section “{title}”" in page.text)
    assert "nan" not in page.text.lower().split()


def broken(runs):
    known = ("status", *points_frame([]))
    return runs.assign(status="error", **{name: None for name in runs if name not in known})


@pytest.mark.parametrize(
    "change",
    [
        broken,
        lambda runs: runs.iloc[:0],
        lambda runs: runs[["point_id", "cell", "activation", "gamma", "length", "seed", "status"]],
        lambda runs: runs.drop(columns=[c for c in runs if "horizon" in c or "half_life" in c]),
        lambda runs: runs.drop(columns=["decay_rate", "gamma_realised", "bound_gap"]),
        lambda runs: runs.assign(horizon_1=None, decay_rate=math.nan, ln_ratio_end=-math.inf),
    ],
    ids=["only errors", "no point", "no measures", "no horizons", "no rates", "nothing finite"],
)
def test_frames_that_lack_things_have_a_report(change):
    some = make.points(2, cell=["simple", "linear", "lstm"], gamma=0.9, length=12)
    runs = change(make.frames(some, slope)["runs"])
    page = Page(report.build_report(runs, points=points_frame(some)).html())
    assert "What the data say" in page.text


# -- from a store --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store with a small finished study."""
    data = tmp_path_factory.mktemp("store") / "data"
    grids = [{"cell": ["simple", "memory"], "gamma": [0.9, 1.0]}, {"cell": "lstm", "gamma": [0.9, 0.99]}]
    study = Study("small", grids=grids, description="a test", length=[8, 24], seed=range(3), hidden_size=6)
    client = Client(data=data, ray="inline")
    client.run(study, on_progress=lambda *_: None)
    return client, data


def test_report_of_a_stored_study(stored, tmp_path):
    client, _ = stored
    path = report.write_report(client, "small", tmp_path / "small.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "36 points" in page.text
    assert "a test" in page.text
    assert len(pd.read_csv(tmp_path / "small_tables" / "lag_curves.csv")) == 6 * 24


@pytest.mark.parametrize(
    "module", ["coverage", "curves", "decay", "horizon", "phase", "saturation", "compare"]
)
def test_each_analysis_runs_by_itself(module, stored, capsys, tmp_path):
    _, data = stored
    main = importlib.import_module(f"longlag.analysis.{module}").main
    out = tmp_path / "table.csv"
    assert main(["small", "--data", str(data), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert ("memory cell" if module == "compare" else "LSTM") in printed
    assert f"wrote {out}" in printed
    assert len(pd.read_csv(out)) > 0


def test_an_analysis_draws_its_figure(stored, capsys, tmp_path):
    from longlag.analysis import horizon

    _, data = stored
    assert horizon.main(["small", "--data", str(data), "--out", str(tmp_path / "h.svg")]) == 0
    assert (tmp_path / "h.svg").read_text(encoding="utf-8").startswith("<svg")
    with pytest.raises(SystemExit) as stop:
        horizon.main(["small", "--data", str(data), "--out", str(tmp_path / "h.doc")])
    assert stop.value.code == 2
    assert ".csv" in capsys.readouterr().err


def test_an_unknown_study_is_one_line(stored, capsys):
    from longlag.analysis import decay

    _, data = stored
    assert decay.main(["smal", "--data", str(data)]) == 1
    assert capsys.readouterr().err.strip() == "error: there is no study 'smal': did you mean 'small'?"


def test_a_usual_section_that_cannot_be_is_a_line_and_its_findings_no_link(tmp_path):
    """A linear loop squashes nothing: no empty section, but a sentence that says so."""
    frames = from_rows(measure(make.points(2, cell="linear", gamma=[0.9, 1.0], length=16)))
    built = report.report_of(frames)
    page = Page(built.html())
    assert "saturation" not in page.ids
    assert "No section “What the read-out lets through”" in page.text
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))


@pytest.mark.parametrize("words", [3, 6, 9, 12, 15])
def test_a_title_stays_on_its_panel(words):
    """As wide as matplotlib sets it, at the size and on the lines that it is given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    title = " ".join(["recurrent", "gain", "W0.5,"] * 5).split()
    text, size = fitted(" ".join(title[:words]), 4.4)
    with style():
        sheet = Sheet(figsize=(5.2, 3.6), dpi=96)
        canvas = FigureCanvasAgg(sheet)
        drawn = sheet.text(0, 0.5, text, fontsize=size, fontweight="bold")
        assert drawn.get_window_extent(canvas.get_renderer()).width <= 4.4 * 96
    assert " ".join(text.split()) == " ".join(title[:words])
    assert text.count("\n") <= 1
