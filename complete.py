"""Completing a study in the foreground: progress, what was run, the summary, the report, and what to type next."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .pages import change, database
from .screen import Line
from .service.progress import ProgressBar, duration
from .summary import summary

if TYPE_CHECKING:
    from .face import Client
    from .options import Options
    from .service.driver import OnProgress, Progress
    from .service.job import Job

Work = Callable[["OnProgress"], "Job"]


def complete(options: Options, client: Client, name: str, work: Work, report: Path) -> int:
    """Do the work of a study, say what came of it, write its report; returns the exit code."""
    screen, began = options.screen, time.monotonic()
    job, seen = _watched(options, client, name, work)
    record = job.record
    if record.state != "done":
        why = f": {record.message}" if record.message else ""
        screen.error(
            f"job {job.id} is {record.state}{why}; {record.done:,} of {record.total:,} points are done and kept: "
            f"'{options.command} resume {job.study}' goes on"
        )
        return 1
    state = client.show(job.study, job.revision)
    computed = record.done - seen[0].done if seen else 0
    if job.change is not None and job.change.new and job.change.revision > 1:
        screen.say(change(job.change))
    if computed:
        screen.say(f"computed {computed:,} points in {duration(time.monotonic() - began)}")
    else:
        screen.say(f"nothing to compute: all {record.total:,} points are there")
    if not options.quiet:
        screen.say("", *summary(client.runs(job.study, job.revision), screen.width))
    screen.say("", f"data    {near(client.settings.root)} (index: {near(database(client))})")
    with screen.busy("writing the report"):
        page = client.report(job.study, report, job.revision)
    tables = page.with_name(f"{page.stem}_tables")
    screen.say(
        f"report  {page} (its tables: {tables}/*.csv)",
        Line(f'next:   {options.command} query "{question(job.study)}"', "bold", "whole"),
    )
    if errors := state.counts.get("error", 0):
        screen.error(f"{errors:,} points are in error: the same command tries them again")
        return 3
    return 0


def _watched(options: Options, client: Client, name: str, work: Work) -> tuple[Job, list[Progress]]:
    """The finished job, and how far it was whenever that was told; shown on a bar, unless quiet."""
    seen: list[Progress] = []
    try:
        if options.quiet:
            return work(seen.append), seen
        with ProgressBar(name, sys.stderr) as bar:

            def show(progress: Progress) -> None:
                seen.append(progress)
                bar(progress)

            return work(show), seen
    except KeyboardInterrupt as stop:
        if stop.args:
            raise
        going_on = [job for job in client.jobs(name) if job.active]
        if not going_on:
            raise
        raise KeyboardInterrupt(f"detached; job {going_on[0].id} goes on: 'longlag jobs' shows it") from None


def near(place: str | Path) -> str:
    """A path as it is typed from here; a URL as it is."""
    here = Path.cwd()
    return str(Path(place).relative_to(here)) if here in Path(place).parents else str(place)


def question(study: str) -> str:
    """A query that shows what can be asked of a study."""
    return (
        "select cell, gamma, length, count(*), min(horizon_1), max(horizon_1) from study_runs "
        f"where study = '{study}' and current group by 1, 2, 3"
    )
