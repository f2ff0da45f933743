"""The command line: one verb each. Only typer is imported at the top; what a verb needs, it imports itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import __version__, options

if TYPE_CHECKING:
    from .options import Options

app = typer.Typer(
    cls=options.Verbs,
    help="How far back does the gradient of a recurrent network really reach? Studies over γ, length and cell.",
    epilog="Start with: longlag run examples/long_term_dependence.toml",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return options.run(app, arguments)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longlag {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def common(
    ctx: typer.Context,
    data: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of the store [LONGLAG_DATA, ./longlag-data].")
    ] = None,
    db: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Database of the index [LONGLAG_DB, SQLite in the store]."),
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="WHERE", help="local, inline, auto, host:port [LONGLAG_RAY, local].")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Compute on so many workers [LONGLAG_WORKERS, every core]."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory of a worker, as 512MiB or 2GiB [LONGLAG_MEMORY, 1GiB]."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, summaries or hints: results and errors only.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(2)


# ---- arguments and options that several verbs have

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study file.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a study in the store.")]
NameOrJob = Annotated[str, typer.Argument(metavar="NAME|JOB", help="Name of a study, or id of a job.")]
Page = Annotated[Path, typer.Option("--report", metavar="FILE", help="Where the report goes.")]
Revision = Annotated[
    int | None, typer.Option(metavar="N", help="An older revision of the study [the newest].")
]
Csv = Annotated[bool, typer.Option("--csv", help="CSV on standard output, with every digit.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output: an array of objects.")]
Parquet = Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="Write a Parquet file.")]

_REPORT = Path("report.html")

# ---- compute


@app.command(cls=options.Verb, rich_help_panel="Compute")
def run(ctx: typer.Context, study: StudyFile, report: Page = _REPORT) -> None:
    """Compute what a study lacks; then summary and report.

    Only points that are not in the store are computed. Ctrl-C stops it and keeps what is done; where another
    process is at work on the study, this one waits for it.
    """
    from .complete import complete
    from .service.study import Study

    wanted, client = Study.from_file(study), ctx.obj.client()
    ctx.obj.screen.say(f"{wanted.name}: {wanted.size:,} points", *filter(None, [wanted.description]))
    raise typer.Exit(complete(ctx.obj, client, wanted.name, lambda show: client.run(wanted, show), report))


@app.command(cls=options.Verb, rich_help_panel="Compute")
def resume(ctx: typer.Context, name: NameOrJob, report: Page = _REPORT) -> None:
    """Go on with a study that was stopped.

    As run, for a study that is in the store: its newest revision.
    """
    from .complete import complete

    client = ctx.obj.client()
    raise typer.Exit(complete(ctx.obj, client, name, lambda show: client.resume(name, show), report))


@app.command(cls=options.Verb, rich_help_panel="Compute")
def submit(ctx: typer.Context, study: StudyFile) -> None:
    """Start a job that goes on without this terminal."""
    from .pages import change
    from .service.study import Study

    given: Options = ctx.obj
    job = given.client().submit(Study.from_file(study))
    given.screen.result(f"job {job.id}")
    if job.change is not None:
        given.screen.say(f"{job.study}, {change(job.change)}: {job.change.size:,} points")
    given.screen.say(f"next: {given.command} jobs")


@app.command(cls=options.Verb, rich_help_panel="Compute")
def plan(ctx: typer.Context, study: StudyFile) -> None:
    """Show what a run would compute, and why; runs nothing."""
    from . import pages
    from .service.study import Study

    given: Options = ctx.obj
    wanted, client = Study.from_file(study), given.client()
    work = client.plan(wanted)
    given.screen.result(*pages.plan(wanted.name, work, int(client.settings.memory), client.settings.ray))
    given.screen.say(f"next: {given.command} {f'run {study}' if work.missing else f'report {wanted.name}'}")


@app.command(cls=options.Verb, rich_help_panel="Compute")
def measure(
    ctx: typer.Context,
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A .npz or safetensors file.")],
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="CELL", help="simple, lstm, gru, …; may be left out where PyTorch's names tell."
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npy", help="What the network is fed: (T, B, M) or (T, M) [drawn]."),
    ] = None,
    readout: Annotated[
        str | None, typer.Option(metavar="NAME", help="Linear layer behind the last layer, as fc [drawn].")
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which network, where there are several, as encoder.rnn."),
    ] = None,
    activation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a simple network: tanh, relu, … [tanh].")
    ] = None,
    reset: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Of a GRU with our own names: before, after [before].")
    ] = None,
    leak: Annotated[float | None, typer.Option(metavar="X", help="Of a residual network [0.5].")] = None,
    gradient: Annotated[
        str | None, typer.Option(metavar="KIND", help="Of an lstm_1997: full, truncated [full].")
    ] = None,
    length: Annotated[int | None, typer.Option(metavar="T", help="Steps of drawn inputs [64].")] = None,
    batch: Annotated[int | None, typer.Option(metavar="B", help="Sequences of drawn inputs [16].")] = None,
    input_scale: Annotated[
        float | None, typer.Option(metavar="X", help="Standard deviation of drawn inputs [1].")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of what is drawn [0].")] = None,
    loss: Annotated[
        str | None, typer.Option(metavar="NAME", help="squared, cross_entropy [squared].")
    ] = None,
    loss_times: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Steps with a loss: last, every, or a count [last].")
    ] = None,
    dtype: Annotated[str | None, typer.Option(metavar="TYPE", help="float64, float32 [float64].")] = None,
    probes: Annotated[
        list[str] | None,
        typer.Option(metavar="PROBE[,PROBE]", help="What to measure, repeatable [the default probes]."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report of its layers as one HTML file.")
    ] = None,
    csv: Csv = False,
    json: Json = False,
    parquet: Parquet = None,
) -> None:
    """Measure a trained network: how far back each of its layers reaches.

    Reads PyTorch's names of RNN, LSTM, GRU and their cells, and our own. Each layer is driven by the one below and
    has a loss of its own. --json and --parquet have the curves too.
    """
    from . import network
    from .export import give, one_form
    from .screen import Line
    from .workers import measure_network, read_network
    from .workers.probes import DEFAULT_PROBES, check_probes

    given: Options = ctx.obj
    one_form(csv, json, parquet)
    chosen = [name.strip() for text in probes or [] for name in text.split(",")] or DEFAULT_PROBES
    memory = int(given.client().settings.memory)
    with given.screen.busy("measuring"), options.as_given():
        check_probes(chosen)
        if report is not None:
            network.refuse_folder(report)
        layers = read_network(
            weights,
            cell,
            inputs,
            prefix=prefix,
            readout=readout,
            activation=activation,
            reset=reset,
            leak=leak,
            gradient=gradient,
            length=length,
            batch_size=batch,
            input_scale=input_scale,
            seed=seed,
            loss=loss,
            loss_times=loss_times,
            dtype=dtype,
            memory=memory,
        )
        rows = measure_network(layers, chosen, memory)
    with given.screen.busy("writing the report"):
        page = None if report is None else network.write_report(weights.name, rows, layers, report)
    if csv or json or parquet:
        give(given, network.frame(rows, lists=not csv), csv, json, parquet)
        return
    given.screen.say(network.head(weights.name, layers))
    for layer, row in zip(layers, rows.to_pylist(), strict=True):
        given.screen.result(*network.layer_lines(layer, row))
    if page is not None:
        given.screen.say(f"report  {page} (its tables: {page.with_name(f'{page.stem}_tables')}/*.csv)")
    more = "--inputs data.npy" if inputs is None else "--report report.html" if page is None else "--json"
    settled = ("length", "batch", "input_scale") if inputs is None else ()
    given.screen.say(Line(f"next: {network.again(ctx, more, settled)}", "bold", "whole"))


@app.command(cls=options.Verb, rich_help_panel="Compute")
def cancel(ctx: typer.Context, name: NameOrJob) -> None:
    """Stop the job of a study; what is done is kept."""
    given: Options = ctx.obj
    job = given.client().cancel(name)
    state = job.state
    stopping = ": its driver stops within seconds" if state == "running" else ""
    given.screen.result(f"job {job.id} of {job.study} is {state}{stopping}")


@app.command(cls=options.Verb, hidden=True)
def drive(
    ctx: typer.Context, job: Annotated[str, typer.Argument(metavar="JOB", help="Id of a job.")]
) -> None:
    """Drive a job in this process; submit starts this by itself."""
    from .service.driver import drive_detached

    raise typer.Exit(drive_detached(job, ctx.obj.client().settings))


# ---- look


@app.command(cls=options.Verb, rich_help_panel="Look")
def studies(ctx: typer.Context) -> None:
    """List the studies."""
    from . import pages

    given: Options = ctx.obj
    found = given.client().studies()
    if not found:
        given.screen.note("there is no study in this store")
    given.screen.result(*pages.studies(found) if found else ())


@app.command(cls=options.Verb, rich_help_panel="Look")
def jobs(
    ctx: typer.Context,
    study: Annotated[str | None, typer.Argument(metavar="NAME", help="Of this study only.")] = None,
) -> None:
    """List the jobs, the newest first."""
    from . import pages

    given: Options = ctx.obj
    client = given.client()
    found = client.jobs(study)
    if study is not None and not found:
        client.show(study)  # raises where there is no such study
    if not found:
        given.screen.note("there are no jobs")
    given.screen.result(*pages.jobs(client, found) if found else ())


@app.command(cls=options.Verb, rich_help_panel="Look")
def show(ctx: typer.Context, name: Name, revision: Revision = None) -> None:
    """Show a study: points, revisions, jobs, files, grid."""
    from . import pages

    given: Options = ctx.obj
    client = given.client()
    given.screen.result(*pages.study(client, client.show(name, revision)))


@app.command(cls=options.Verb, rich_help_panel="Look")
def query(
    ctx: typer.Context,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; - reads it from standard input.")],
    csv: Csv = False,
    json: Json = False,
    parquet: Parquet = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop the query after so long.")
    ] = None,
    max_rows: Annotated[int | None, typer.Option(metavar="N", help="Refuse an answer of more rows.")] = None,
) -> None:
    """Ask the index with SQL; it can only read.

    The views runs (one row a finished point) and study_runs (the same by study and revision) have the results.
    """
    from .export import give

    given: Options = ctx.obj
    text = typer.get_text_stream("stdin").read() if sql == "-" else sql
    limits = {"timeout": timeout, "max_rows": max_rows}
    frame = given.client().sql(text, **{name: limit for name, limit in limits.items() if limit is not None})
    give(given, frame, csv, json, parquet)


@app.command(cls=options.Verb, rich_help_panel="Look")
def curves(
    ctx: typer.Context,
    name: Name,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="delta, adjoint, bound, gate_product (repeatable); or one of saturation, saturated, gates, "
            "gate_time, preserved_norm, memory_function, lyapunov, jacobian, singular_values, pairs, pair_map, "
            "window, truncation.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE[,VALUE]", help="Of these runs only, as cell=lstm; repeatable."),
    ] = None,
    revision: Revision = None,
    csv: Csv = False,
    json: Json = False,
    parquet: Parquet = None,
) -> None:
    """Read curves by lag: one row a point, kind and lag.

    For people only parameters that differ are shown; --csv, --json and --parquet have them all.
    """
    from .export import give

    given: Options = ctx.obj
    frame = given.client().curves(name, revision, options.conditions(where or []), kind or None)
    if frame.empty:
        from .service.curves import KINDS

        probe = KINDS[kind[0] if kind else "delta"].probe
        given.screen.note(f"no curves: none of these runs was measured with the probe {probe!r}")
    if not (csv or json or parquet):
        from .workers.points import PARAMETERS

        frame = frame.drop(columns=[p for p in PARAMETERS if frame[p].nunique(dropna=False) < 2])
    give(given, frame, csv, json, parquet)


@app.command(cls=options.Verb, rich_help_panel="Look")
def report(
    ctx: typer.Context,
    name: Name,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where it goes.")] = _REPORT,
    revision: Revision = None,
) -> None:
    """Write the report of a study as one HTML file."""
    given: Options = ctx.obj
    with given.screen.busy("writing the report"):
        page = given.client().report(name, out, revision)
    given.screen.result(str(page))


# ---- look after


@app.command(cls=options.Verb, rich_help_panel="Look after")
def check(ctx: typer.Context) -> None:
    """Compare the index with the files.

    Every byte is read. Exit code 1 where a file is missing, truncated or altered.
    """
    given: Options = ctx.obj
    findings = given.client().check()
    for finding in findings:
        given.screen.result(f"{finding.level}: {finding.file}: {finding.text}")
    wrong = sum(finding.level == "error" for finding in findings)
    given.screen.say(f"{wrong:,} errors" if wrong else "no errors: index and files agree")
    raise typer.Exit(1 if wrong else 0)


@app.command(cls=options.Verb, rich_help_panel="Look after")
def verify(
    ctx: typer.Context,
    slow: Annotated[
        bool,
        typer.Option("--slow", help="Also what takes minutes: wide networks, published learning results."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="A list of objects on standard output.")] = False,
) -> None:
    """Grade the numerics of this installation.

    What has a closed form, or can be computed by another road, is measured and compared. Exit code 1 where a
    check fails. Where there is a store, its reports show the scorecard from then on.
    """
    import time

    from . import pages
    from .workers import checks

    given: Options = ctx.obj
    chosen, found, begun = checks.chosen(slow), [], time.monotonic()
    for number, (name, entry) in enumerate(chosen.items(), start=1):
        with given.screen.busy(f"{number} of {len(chosen)}: {name}"):
            found.append(checks.check(name, entry))
    if not slow:
        given.client().keep_scorecard(found)
    given.screen.result(*pages.scorecard(found, json))
    failed = sum(not check.passed for check in found)
    if not json:
        given.screen.say(*pages.verdict(found, time.monotonic() - begun, None if slow else checks.CHECKS))
    raise typer.Exit(1 if failed else 0)


@app.command(cls=options.Verb, rich_help_panel="Look after")
def bench(
    ctx: typer.Context,
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="GROUP...", help="Which groups [all]; --list names them.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="List the groups and the peers; runs nothing.")
    ] = False,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Of these groups only workloads with this in their name.")
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny sizes: whether everything runs, not how fast.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where results go [benchmarks/results].")
    ] = None,
    json: Json = False,
) -> None:
    """Measure longlag against the machine's limit and against its peers (from a checkout).

    Ratios in one run, one thread, medians of interleaved repetitions. Rows go into one file a machine; groups
    can be run one at a time. Quiet machines tell more than busy ones.
    """
    from . import bench

    if show:
        bench.groups(ctx.obj, json)
    else:
        bench.bench(ctx.obj, groups or [], quick, only, out, json)


@app.command(cls=options.Verb, rich_help_panel="Look after")
def reindex(ctx: typer.Context) -> None:
    """Make the index anew from the files alone."""
    given: Options = ctx.obj
    given.screen.result(f"the index is made anew from {given.client().reindex():,} record files")


@app.command(cls=options.Verb, rich_help_panel="Look after")
def rm(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a study and what only it uses."""
    import sys

    given: Options = ctx.obj
    client = given.client()
    size = client.show(name).revision.size
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Remove {name} and its points ({size:,}) that no other study has?", abort=True)
    files = client.rm(name)
    given.screen.result(f"{name} is removed, and {len(files):,} record files")
