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

    from .workers.foreign import Layer

_LEVELS = {"half_life": "half of the error", "horizon_10": "10 %", "horizon_1": "1 %"}


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
    """One layer in words: what is left of the error by lag, the decay rate, realised and nominal γ, status."""
    from .workers.cells import CELLS

    point, cell = layer.point, CELLS[layer.point.cell]
    f = f" {point.activation}" if point.activation else ""
    yield Line(
        f"layer {layer.name}: {cell.label}{f}, N = {point.hidden_size:,}, M = {point.input_size:,}", "bold"
    )
    if row["status"] != "ok":
        yield Line(f"  {row['status']}: {row['status_detail']}", "yellow")
    for text in (_reach(row), _decay(row, "adjoint" in cell.bounded)):
        if text:
            yield Line(f"  {text}")
    for note in layer.notes:
        yield Line(f"  {note}", "dim")


def _reach(row: Mapping[str, Any]) -> str:
    """``half of the error is left after 3.1 steps, 10 % after 10.2; it never falls below 1 % in 99 steps``."""
    from .analysis.text import lags, plural, power_of_ten

    last = (row.get("lag") or [0])[-1]
    if not last:
        return "there is no lag to measure: give more than one step" if "lag" in row else ""
    known = [(share, row[name]) for name, share in _LEVELS.items() if row.get(name) is not None]
    never = [share for name, share in _LEVELS.items() if row.get(f"{name}_censored")]
    first, *more = [f"{share} is left after {lags(lag)} steps" for share, lag in known[:1]] or [""]
    parts = [first, *more, *(f"{share} after {lags(lag)}" for share, lag in known[1:])]
    text = ", ".join(filter(None, parts))
    if never:
        share = never[0].removesuffix(" of the error")
        text = "; ".join(
            filter(None, [text, f"the error never falls below {share} in {plural(last, 'step')}"])
        )
    if text and row.get("ln_ratio_end") is not None:
        left = "nothing" if math.isinf(row["ln_ratio_end"]) else power_of_ten(row["ln_ratio_end"])
        text += f"; {left} of it reaches back {plural(last, 'step')}"
    return text


def _decay(row: Mapping[str, Any], bounded: bool) -> str:
    """``realised γ 0.799 (decay rate −0.224 a step), gates 0.75, nominal γ 0.731``, and whether that bounds it.

    The gates' number is the geometric mean of the forget or keep gates over the data, as their product has it.
    """
    from .analysis.text import number

    parts = []
    if row.get("gamma_realised") is not None:
        parts.append(
            f"realised γ {number(row['gamma_realised'], 4)} (decay rate {number(row['decay_rate'], 3)} a step)"
        )
    if row.get("gate_product") and row["lag"][-1]:
        mean = math.exp(row["gate_product"][-1] / row["lag"][-1])
        parts.append(f"its gates keep {number(mean, 4)} a step")
    if row.get("gamma_nominal") is not None:
        role = "which bounds it" if bounded else "a reference and no bound"
        parts.append(f"nominal γ {number(row['gamma_nominal'], 4)}, {role}")
    return ", ".join(parts)


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
