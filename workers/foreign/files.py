"""Arrays by name from a file or a mapping. Nothing is unpickled: a pickle runs code when it is read.

What a file is, its first bytes say, not its name.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadFile, InvalidPoint

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
"""The types of a safetensors file that NumPy has; BF16 is the upper half of a float32."""
_AS_SAFETENSORS = (
    "from safetensors.torch import save_file; save_file(model.state_dict(), 'weights.safetensors')"
)
_AS_NPZ = "numpy.savez('weights.npz', **{k: v.cpu().numpy() for k, v in model.state_dict().items()})"
_WRITE = f"write it as safetensors ({_AS_SAFETENSORS}) or as .npz ({_AS_NPZ})"


def named_arrays(weights: object) -> dict[str, Any]:
    """Arrays by name: from a .npz or safetensors file, or a mapping of arrays or tensors as it is.

    Raises BadFile (unreadable, or a pickle), InvalidPoint (neither a path nor a mapping).
    """
    if isinstance(weights, str | Path):
        return _from_file(Path(weights))
    if isinstance(weights, Mapping):
        return {str(name): value for name, value in weights.items()}
    hint = "its state_dict()" if hasattr(weights, "state_dict") else "arrays by name"
    raise InvalidPoint(f"weights are a {type(weights).__name__}: give {hint}, or the path of a file")


def plain(what: str, value: Any) -> NDArray[np.float64]:
    """An array or tensor in float64, every number of it finite. Raises InvalidPoint with the name and the index."""
    if hasattr(value, "detach"):  # a tensor: bfloat16 has to be widened before NumPy can have it
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value)
        array = array.astype(np.float64, casting="same_kind" if array.dtype.kind == "c" else "unsafe")
    except (TypeError, ValueError):
        kind = value if isinstance(value, str) else getattr(value, "dtype", type(value).__name__)
        raise InvalidPoint(f"{what} is a {kind}: give an array of real numbers") from None
    wrong = ~np.isfinite(array)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InvalidPoint(f"{what} is {array[where]} at {where}: give finite numbers")
    return array


def sequences(given: object) -> NDArray[np.float64]:
    """Inputs (T, B, M) from a .npy file or an array; (T, M) is one sequence. Raises BadFile and InvalidPoint."""
    value: Any = given
    if isinstance(given, str | Path):
        path = Path(given)
        if _magic(path)[:6] != b"\x93NUMPY":
            what = "not a .npy file" if path.stat().st_size else "the file is empty"
            raise BadFile(f"{path}: {what}: write the inputs (T, B, M) with numpy.save")
        value = _load(path)
    if _is_whole(value):
        raise InvalidPoint(
            f"inputs are of type {value.dtype}: give what the network is fed, as floats; token ids go through "
            "its embedding first"
        )
    x = plain("inputs", value)
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise InvalidPoint(f"inputs have shape {x.shape}: give (T, B, M), or (T, M) for one sequence")
    return x if x.ndim == 3 else x[:, None]


def _is_whole(value: Any) -> bool:
    """Whether an array or tensor has a type of whole numbers."""
    if hasattr(value, "is_floating_point"):
        return not value.is_floating_point()
    return getattr(getattr(value, "dtype", None), "kind", "") in ("i", "u", "b")


def _from_file(path: Path) -> dict[str, Any]:
    start = _magic(path)
    if start[8:] == b"{":  # behind the header's length, which may begin like anything
        return _from_safetensors(path)
    if start[:2] == b"PK":
        return _from_zip(path)
    if start[:1] == b"\x80":
        raise BadFile(_pickle(path))
    if start[:6] == b"\x93NUMPY":
        raise BadFile(f"{path}: one array without a name: write arrays by name with numpy.savez")
    what = "neither a .npz nor a safetensors file" if start else "the file is empty"
    raise BadFile(f"{path}: {what}: {_WRITE}")


def _magic(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(9)


def _from_zip(path: Path) -> dict[str, Any]:
    """A .npz is an archive of .npy files; what torch.save writes is one with a pickle in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as problem:
        raise BadFile(f"{path}: not a whole .npz file ({problem}): write it again") from None
    if any(name.endswith(".pkl") for name in names):
        raise BadFile(_pickle(path))
    if not all(name.endswith(".npy") for name in names):
        raise BadFile(f"{path}: a zip archive, but no .npz file: write one with numpy.savez")
    return dict(_load(path))


def _load(path: Path) -> Any:
    try:
        loaded = np.load(path, allow_pickle=False)
        return _members(path, loaded) if hasattr(loaded, "files") else loaded
    except ValueError as problem:
        if "pickle" in str(problem):
            raise _objects(f"{path}:") from None
        raise BadFile(f"{path}: {problem}: write it again") from None
    except (EOFError, zipfile.BadZipFile) as problem:
        raise BadFile(f"{path}: not whole ({problem}): write it again") from None


def _members(path: Path, archive: Any) -> dict[str, Any]:
    """The arrays of a .npz by name."""
    arrays = {}
    for name in archive.files:
        try:
            arrays[name] = archive[name]
        except ValueError as problem:
            raise _objects(f"{path}: {name}") if "pickle" in str(problem) else problem from None
    return arrays


def _objects(what: str) -> BadFile:
    return BadFile(f"{what} holds Python objects, which are pickled: write arrays of numbers")


def _from_safetensors(path: Path) -> dict[str, Any]:
    import safetensors

    try:
        tensors = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as problem:
        raise BadFile(f"{path}: not a whole safetensors file ({problem}): write it again") from None
    return {name: _tensor(one) for name, one in sorted(tensors, key=lambda item: item[0])}


def _tensor(one: Mapping[str, Any]) -> Any:
    """A tensor of a safetensors file, or the name of its type where it is no type of numbers that we read."""
    kind, shape = one["dtype"], one["shape"]
    if kind == "BF16":
        wide = np.frombuffer(one["data"], "<u2").astype("<u4") << 16
        return wide.view("<f4").reshape(shape)
    if kind not in _DTYPES:
        return f"tensor of type {kind}"
    return np.frombuffer(one["data"], _DTYPES[kind]).reshape(shape)


def _pickle(path: Path) -> str:
    return f"{path}: a pickle, which could run anything when read; {_WRITE}"
