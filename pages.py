"""What the verbs show of studies, jobs and plans, as lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .screen import Line, aligned, size

if TYPE_CHECKING:
    from .face import Client
    from .service.client import StudyState
    from .service.index import RevisionInfo, StudyInfo
    from .service.jobs import JobRecord
    from .service.plan import Plan
    from .workers.checks import Check, Entry


def studies(found: Sequence[StudyInfo]) -> list[Line]:
    """One row a study."""
    head = ["study", "revision", "points", "finished", "error", "made", "description"]
    rows = [
        [
            s.name,
            str(s.revision),
            *(f"{n:,}" for n in (s.size, s.finished, s.errors)),
            _when(s.created),
            s.description,
        ]
        for s in found
    ]
    return _table(head, rows, right=(1, 2, 3, 4))


def jobs(client: Client, found: Sequence[JobRecord]) -> list[Line]:
    """One row a job, the newest first."""
    head = ["job", "study", "revision", "state", "done", "points", "rate", "age", "took", "message"]
    rows = [
        [
            job.id,
            job.study,
            str(job.revision),
            job.state,
            f"{job.done:,}",
            f"{job.total:,}",
            _rate(client, job),
            _age(job.created),
            _took(job),
            job.message or "",
        ]
        for job in found
    ]
    return _table(head, rows, right=(2, 4, 5, 6, 7, 8))


def plan(name: str, work: Plan, limit: int, ray: str) -> list[Line]:
    """What a run would compute, and why; nothing is said of what is not there."""
    from .service.progress import duration

    lines = [Line(f"{name}: {work.points:,} points", "bold")]
    rows = [["present", f"{work.present:,}", ""], ["missing", f"{work.missing:,}", _why(work)]]
    if work.shards:
        cores = "1 worker" if work.workers == 1 else f"{work.workers} workers"
        rows += [
            ["shards", f"{len(work.shards):,}", "one Parquet file each"],
            ["memory", size(work.memory), f"at most, in a worker; it may use {size(limit)}"],
            [
                "time",
                duration(work.elapsed),
                f"or so on {cores} (ray = {ray}); {duration(work.seconds)} of one core",
            ],
        ]
    return [*lines, *(Line("  " + text) for text in aligned(rows, right=(1,)))]


def _why(work: Plan) -> str:
    """Why points are missing: failed before, not there at all, or there without some probe."""
    if not work.missing:
        return "there is nothing to compute"
    most = max(work.lacking, key=len)
    reasons = [f"{work.failed:,} in error, to be tried again"] if work.failed else []
    for probes, count in work.lacking.items():
        if probes == most:
            if fresh := count - work.failed:
                reasons.append(f"{fresh:,} not there yet")
        else:
            reasons.append(f"{count:,} there without the probe{'s' * (len(probes) > 1)} {', '.join(probes)}")
    return "; ".join(reasons)


def change(info: RevisionInfo) -> str:
    """What a submission has made of the revision before."""
    if info.revision == 1 or not info.new:
        return f"revision {info.revision}"
    return (
        f"revision {info.revision}: +{info.added:,} points, −{info.removed:,} no longer in the study, "
        f"{info.reused:,} reused"
    )


def study(client: Client, state: StudyState) -> list[Line]:
    """Everything about a study: its grid, revisions, points by status, jobs, and where its files are."""
    info = state.revision
    lines = [Line(f"{info.study}, revision {info.revision}: {info.size:,} points", "bold")]
    if state.study.description:
        lines.append(Line(state.study.description))
    order = dict.fromkeys(s for s in ("ok", *state.counts) if s in state.counts)
    counts = [f"{state.counts[status]:,} {status}" for status in order]
    counts += [f"{state.missing - state.counts.get('error', 0):,} missing"] if _absent(state) else []
    lines += [Line(), Line("points by status", "bold"), Line(f"  {', '.join(counts)}")]
    lines += [Line(), Line("revisions", "bold"), *_indented(_revisions(client, info.study))]
    if state.jobs:
        lines += [Line(), Line("jobs", "bold"), *_indented(jobs(client, state.jobs))]
    lines += [Line(), Line("files", "bold"), *_indented(_files(client, info))]
    lines += [Line(), Line("grid", "bold"), *_indented(map(Line, info.toml.strip().splitlines()))]
    return lines


def _absent(state: StudyState) -> bool:
    return state.missing > state.counts.get("error", 0)


def _revisions(client: Client, name: str) -> list[Line]:
    newest = client.show(name).revision
    found = [client.show(name, n).revision for n in range(1, newest.revision)] + [newest]
    rows = [[str(r.revision), f"{r.size:,}", _when(r.created), ", ".join(r.probes)] for r in found]
    return _table(["revision", "points", "made", "probes"], rows, right=(0, 1))


def _files(client: Client, info: RevisionInfo) -> list[Line]:
    """How many record files hold the points of a revision, and where."""
    count, total, _ = _record_files(client, info.id)
    return [
        Line(f"{count:,} record files, {size(total)}, in {client.settings.root / 'records'}"),
        Line(f"index: {database(client)}"),
    ]


def _record_files(client: Client, revision_id: int, since: datetime | None = None) -> tuple[int, int, int]:
    """Number, bytes and rows of the record files that hold points of a revision, committed since then."""
    from .workers.probes import PROBES

    held = " union ".join(
        f"select m.shard_{probe} from points p join measures m on m.point_id = p.point_id "
        f"where p.revision_id = {revision_id:d}"
        for probe in PROBES
    )
    late = f" and committed >= '{since.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00'" if since else ""
    sums = "count(*) as files, coalesce(sum(size), 0) as size, coalesce(sum(rows), 0) as rows"
    row = client.sql(f"select {sums} from shards where id in ({held}){late}").iloc[0]
    return int(row["files"]), int(row["size"]), int(row["rows"])


def database(client: Client) -> str:
    """The index as people know it: a file, or a URL without its password."""
    from .service.database import parse_url

    url = parse_url(client.settings.database)
    return (
        str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[Line]:
    first, *rest = aligned([head, *rows], right)
    return [Line(first, "bold", "cut"), *(Line(text, fit="cut") for text in rest)]


def _indented(lines: Iterable[Line]) -> Iterable[Line]:
    return (Line(f"  {line.text}", line.style, line.fit) for line in lines)


def _when(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _age(moment: datetime) -> str:
    from .service.progress import duration

    return duration((datetime.now(UTC) - moment).total_seconds())


def _rate(client: Client, job: JobRecord) -> str:
    """Points a second of a running job in the last minute; what was there before it does not count."""
    if job.state != "running" or job.started is None:
        return "–"
    now = datetime.now(UTC)
    since = max(job.started, now - timedelta(minutes=1))
    rows = _record_files(client, job.revision_id, since)[2]
    return f"{rows / max((now - since).total_seconds(), 1.0):,.1f}/s"


def _took(job: JobRecord) -> str:
    from .service.progress import duration

    if job.started is None or job.finished is None:
        return "–"
    return duration((job.finished - job.started).total_seconds())


def scorecard(found: Sequence[Check], as_json: bool) -> list[Line]:
    """The checks of ``verify``: a row each under their subjects, or one line of JSON."""
    if as_json:
        import json

        return [Line(json.dumps([_plain(c) for c in found]), fit="whole")]
    head = ["check", "value", "reference", "error", "tolerance", "source", ""]
    rows = [
        [
            f"  {c.name}",
            *(f"{x:.9g}" for x in (c.value, c.reference)),
            *(f"{x:.1e}" for x in (c.error, c.tolerance)),
            c.source,
            "passed" if c.passed else "FAILED",
        ]
        for c in found
    ]
    top, *lines = _table(head, rows, right=(1, 2, 3, 4))
    result, subject = [top], None
    for check, line in zip(found, lines, strict=True):
        if check.subject != subject:
            subject = check.subject
            result.append(Line(subject, "bold"))
        result.append(line if check.passed else line._replace(style="red"))
    return result


def _plain(check: Check) -> dict[str, Any]:
    """A check as JSON has it: what is not finite is null."""
    import dataclasses
    import math

    fields = {n: v for n, v in dataclasses.asdict(check).items() if n != "subject"}
    finite: dict[str, Any] = {
        n: None if isinstance(v, float) and not math.isfinite(v) else v for n, v in fields.items()
    }
    return finite | {"passed": check.passed}


def verdict(found: Sequence[Check], seconds: float, every: Mapping[str, Entry] | None) -> list[Line]:
    """The last lines of ``verify``: which checks failed; how many of them, and the time.

    ``every`` is the whole registry where only some of it was asked for.
    """
    from .service.progress import duration

    failed = [c for c in found if not c.passed]
    slow = len(every) - len(found) if every else 0
    more = f"; --slow does {slow} more" if slow > 0 else ""
    count = f"{len(failed)} of {len(found)} checks failed" if failed else f"all {len(found)} checks passed"
    named = [Line(f"FAILED: {c.name}", "red") for c in failed]
    return [*named, Line(f"{count} in {duration(seconds)}{more}")]
