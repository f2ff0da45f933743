"""The verb ``measure``: a trained network in words, as a table, and as a report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .screen import Line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from .workers.cells import Cell
    from .workers.foreign import Layer

_LEVELS = {"half_life": "half", "horizon_10": "10 %", "horizon_1": "1 %"}
_LABEL = len("forget gates")


def frame(rows: pa.Table, lists: bool) -> pd.DataFrame:
    """The rows of ``measure_network`` with Arrow's types, with or without the columns of lists."""
    import pandas as pd
    import pyarrow as pa

    names = [field.name for field in rows.schema if lists or not pa.types.is_list(field.type)]
    return rows.select(names).to_pandas(types_mapper=pd.ArrowDtype)


def head(source: str, layers: Sequence[Layer]) -> Line:
    """What was read: how many layers, length and batch, and where the loss is."""
    point = layers[0].point
    size = f"T = {point.length:,}, B = {point.batch_size:,}"
    return Line(f"{source}: {_count(layers)}; {size}, loss at {_times(point.loss_times)}", "bold")


def _count(layers: Sequence[Layer]) -> str:
    """``2 layers``, or ``1 layer in both directions``."""
    from .analysis.text import plural

    reverse = sum(layer.name.endswith("reverse") for layer in layers)
    return plural(len(layers) - reverse, "layer") + (" in both directions" if reverse else "")


def _times(loss_times: str) -> str:
    return {"last": "the last step", "every": "every step"}.get(loss_times, f"{loss_times} steps")


def layer_lines(layer: Layer, row: Mapping[str, Any]) -> Iterator[Line]:
    """One layer: what is left of the error by lag, the factors a step, status, and what was drawn."""
    from .workers.cells import CELLS

    point, cell = layer.point, CELLS[layer.point.cell]
    f = f" {point.activation}" if point.activation else ""
    sizes = f"N = {point.hidden_size:,}, M = {point.input_size:,}"
    yield Line(f"layer {layer.name}: {cell.label}{f}, {sizes}", "bold")
    if row["status"] != "ok":
        yield Line(f"  {row['status']}: {row['status_detail']}", "yellow")
    for label, text in (*_reach(row), *_factors(row, cell)):
        yield Line(f"  {label:<{_LABEL}}  {text}")
    for label, text in _asked(row):
        yield Line(f"  {label:<{_LABEL}}  {text}")
    for note in layer.notes:
        yield Line(f"  {note}", "dim")


def _asked(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The numbers of each probe that was asked for by name; where it has lists only, who has them."""
    from .workers.probes import DEFAULT_PROBES, PROBES

    for probe in PROBES.values():
        names = [column.name for column in probe.columns]
        if probe.name in DEFAULT_PROBES or not row.keys() >= set(names):
            continue
        known = {n: row[n] for n in names if isinstance(row[n], int | float)}
        numbers = [f"{n} {v:.4g}" for n, v in known.items() if not isinstance(v, bool)]
        lists = any(isinstance(row[name], list) for name in names)
        yield (
            probe.name,
            ", ".join(numbers) or ("lists, in --json and --parquet" if lists else "nothing here"),
        )


def _reach(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """``error left  half after 3.1 steps, 10 % after 10.2, never below 1 %`` and ``at lag 99  0.034``."""
    from .analysis.text import lags, plural, power_of_ten

    if not row.get("lag"):
        return
    if not (last := row["lag"][-1]):
        yield "error left", "there is no lag to measure: give more than one step"
        return
    known = [(share, row[name]) for name, share in _LEVELS.items() if row[name] is not None]
    parts = [f"{share} after {lags(lag)}{'' if i else ' steps'}" for i, (share, lag) in enumerate(known)]
    never = [share for name, share in _LEVELS.items() if row[f"{name}_censored"]]
    if parts or never:
        yield (
            "error left",
            ", ".join(parts + [f"never below {share} in {plural(last, 'step')}" for share in never[:1]]),
        )
    if row["ln_ratio_end"] is not None:
        left = "nothing" if math.isinf(row["ln_ratio_end"]) else power_of_ten(row["ln_ratio_end"])
        yield f"at lag {last:,}", f"{left} is left"


def _factors(row: Mapping[str, Any], cell: type[Cell]) -> Iterator[tuple[str, str]]:
    """Factors a step: realised γ, the geometric mean of the gates that keep the state, and nominal γ."""
    from .analysis.text import number

    if row.get("gamma_realised") is not None:
        rate = number(row["decay_rate"], 3)
        yield "realised γ", f"{number(row['gamma_realised'], 4)} a step (decay rate {rate})"
    if row.get("gate_product") and cell.keep_gate is not None and (last := row["lag"][-1]):
        name = {"f": "forget gates", "k": "keep gates"}[cell.gates[cell.keep_gate]]
        yield name, f"{number(math.exp(row['gate_product'][-1] / last), 4)} a step"
    if row["gamma_nominal"] is not None:
        role = "γ^ℓ is a bound" if "adjoint" in cell.bounded else "γ^ℓ is a reference, no bound"
        yield "nominal γ", f"{number(row['gamma_nominal'], 4)} a step ({role})"


def refuse_folder(path: Path) -> None:
    """Raises IsADirectoryError where the report could not be written in the end."""
    import errno
    import os

    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def write_report(source: str, rows: pa.Table, layers: Sequence[Layer], path: Path) -> Path:
    """The report of a study, of these rows: each layer is a variant. Returns the path of the page."""
    from .analysis.load import from_rows
    from .analysis.report import report_of

    notes = [f"Layer {layer.name}: {'; '.join(layer.notes)}." for layer in layers if layer.notes]
    about = f"A trained network: {_count(layers)}, each measured by itself."
    description = " ".join([about, *notes])
    return report_of(from_rows(rows, title=source), description=description).write(path)


def again(ctx: Any, more: str, without: Sequence[str] = ()) -> str:
    """The verb as it was called, with more behind it and without some options: for the hint of what is next."""
    words = [ctx.command.name]
    for param in ctx.command.params:
        value = ctx.params.get(param.name)
        if value is None or value is False or value == param.default or param.name in without:
            continue
        values = value if isinstance(value, list | tuple) else [value]
        option = [] if param.param_type_name == "argument" else [param.opts[0]]
        for one in values:
            words += option if one is True else [*option, shlex.quote(str(one))]
    return " ".join([ctx.obj.command, *words, more])
