"""JSONL and small JSON files that survive a crash. Nothing is taken on trust: a line is an object
in UTF-8 whose fields are what their dataclass declares, or it is named and refused."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from s1core.errors import InputError, check_number, explained, utf8

Kind = type | Callable[[dict[str, Any]], Any]
_NO_JSON = {UnicodeDecodeError: "not UTF-8", RecursionError: "not JSON (nested too deeply)"}


def to_json(record: Any) -> str:
    """One line of JSON with a stable key order; dataclasses become objects."""
    value = dataclasses.asdict(record) if dataclasses.is_dataclass(record) else record
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse_json(line: bytes | str) -> dict[str, Any]:
    """The JSON object that a line, or a small file, holds. InputError: not UTF-8, not JSON, not an
    object, a field given twice, half a character (a lone surrogate), or nested too deeply."""
    try:
        text = line.decode("utf-8-sig") if isinstance(line, bytes) else line
        row = json.loads(text, object_pairs_hook=_fields)
        if "\\u" in text:
            utf8(to_json(row))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is one too
        other = f"not JSON ({getattr(error, 'msg', 'a number too long')})"
        raise InputError(_NO_JSON.get(type(error), other)) from error
    if not isinstance(row, dict):
        raise InputError(f"expected a JSON object, found {_named(row)}")
    return row


def from_dict(kind: type, row: dict[str, Any]) -> Any:
    """Build a record of type `kind` from a parsed JSON object, every field as it is declared.
    InputError: a field is missing, unknown or of another type; the message names it."""
    if not isinstance(row, dict):
        raise InputError(f"not a {kind.__name__} but {_named(row)}")
    declared, required = _schema(kind)
    for what, names in (("missing", required - set(row)), ("unknown", set(row) - set(declared))):
        if names:
            listed = ", ".join(name[:40] for name in sorted(names))
            raise InputError(f"not a {kind.__name__}: {what} {listed}")
    return kind(**{name: typed(declared[name], value, name) for name, value in row.items()})


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise InputError(f"{name} is there twice")
    return row


@cache
def _schema(kind: type) -> tuple[dict[str, Any], frozenset[str]]:
    """The declared type of each field, and the fields without a default."""
    hints, fields = get_type_hints(kind, include_extras=True), dataclasses.fields(kind)
    required = frozenset(f.name for f in fields if f.default is f.default_factory)  # both missing
    return {field.name: hints[field.name] for field in fields}, required


def _whole(values: Any) -> bool:
    """Whether it is a list of whole numbers that 63 bits hold; quick over thousands of them."""
    ints = isinstance(values, (list, tuple)) and {int}.issuperset(map(type, values))
    return ints and (not values or 0 <= min(values) <= max(values) < 2**63)


_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number from 0", lambda value: _whole([value])),
    float: ("a number", lambda value: type(value) in (int, float) and abs(value) < 1e300),
    Mapping: ("an object", lambda value: isinstance(value, dict)),
    tuple: ("a list", lambda value: isinstance(value, (list, tuple))),
    tuple[int, ...]: ("a list of whole numbers from 0", _whole),
}


def typed(declared: Any, value: Any, where: str) -> Any:
    """`value` in its declared type and range; InputError, naming `where`, if it is not."""
    origin, inner = get_origin(declared), get_args(declared)
    if origin is Annotated:
        made = typed(inner[0], value, where)
        for number in made if isinstance(made, tuple) else (made,):
            check_number(where, number, *inner[1:], whole=inner[0] is int)
        return made
    if origin in (UnionType, Union) and inner[1:] == (NoneType,):
        return None if value is None else typed(inner[0], value, where)
    if declared == str | tuple[str, ...]:
        return value if isinstance(value, str) else typed(inner[1], value, where)
    if dataclasses.is_dataclass(declared):
        try:
            return from_dict(declared, value)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    if declared is Any:
        return value
    if origin is Literal:
        wanted, fits = f"one of {', '.join(inner)}", lambda value: value in inner
    elif known := _PLAIN.get(declared, _PLAIN.get(origin)):
        wanted, fits = known
    else:
        raise TypeError(f"{where} is declared as {declared}, which is never checked")
    if not fits(value):
        raise InputError(f"{where} must be {wanted}, not {_named(value)}")
    if origin is tuple and declared not in _PLAIN:
        value = (typed(inner[0], part, f"{where}[{i}]") for i, part in enumerate(value))
    return tuple(value) if origin is tuple else value


def _named(value: Any) -> str:
    if isinstance(value, (list, tuple, dict)):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) > 10**18:
        return "a number out of range"
    shown = json.dumps(value, default=repr)
    return shown if len(shown) < 40 else "text"


def read_jsonl(
    path: str | Path, kind: Kind | None = None, left_out: list[InputError] | None = None
) -> Iterator[Any]:
    """Yield the records of a JSONL file, as dicts or as `kind`, a dataclass or what makes one.

    `left_out` takes what is wrong with rows that cannot be read, instead of the first one's ending
    the whole. InputError: a line is not a JSON object or not a `kind`; the message starts with
    `path:line`. Or the file is a folder, a device or a pipe.
    """
    for number, record, fault, _ in _lines(path, kind):
        if not fault:
            yield record
        elif left_out is None:
            raise InputError(f"{path}:{number}: {fault}")
        else:
            left_out.append(InputError(f"{path}:{number}: {fault}"))


def read_recoverable(
    path: str | Path, kind: type | None = None
) -> tuple[list[tuple[int, Any]], int | None]:
    """Records of a JSONL file with their line numbers, and the number of a torn last line, which
    was being written when the writer died: it does not parse, has no end, and is left out."""
    records: list[tuple[int, Any]] = []
    for number, record, fault, whole in _lines(path, kind):
        if fault and whole:
            raise InputError(f"{path}:{number}: damaged line ({fault})")
        if fault:
            return records, number
        records.append((number, record))
    return records, None


def _lines(path: str | Path, kind: Kind | None) -> Iterator[tuple[int, Any, str, bool]]:
    """Each line's number, its record, else what is wrong with it, and whether it has an end."""
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path} is not a regular file; name a JSONL file")
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                made, fault = parse_json(line), ""
                if kind is not None:
                    made = from_dict(kind, made) if isinstance(kind, type) else kind(made)
            except InputError as error:
                made, fault = None, str(error)
            yield number, made, fault, line.endswith(b"\n")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a small YAML file holds; InputError where it holds none."""
    import yaml

    with explained(f"{path} cannot be read as YAML"):
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(read, dict):
        raise InputError(f"{path} holds no settings by name")
    return read


@dataclass(frozen=True, slots=True)
class Journal:
    """An append-only JSONL file that survives being killed in the middle of a line."""

    path: Path

    def append(self, records: Iterable[Any]) -> int:
        """Add records; they are on disk when this returns. Returns how many."""
        lines = [to_json(record) + "\n" for record in records]
        with open(self.path, "a", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        return len(lines)

    def mend(self) -> None:
        """Cut off a last line without an end, so that the next record starts on its own."""
        if not self.path.is_file():
            return
        with open(self.path, "rb") as file:
            whole = sum(len(line) for line in file if line.endswith(b"\n"))
        if whole < self.path.stat().st_size:
            os.truncate(self.path, whole)

    def records(self, kind: type | None = None) -> Iterator[Any]:
        """The records so far; a last line torn by a crash is cut off first. See `read_jsonl`."""
        self.mend()
        return read_jsonl(self.path, kind) if self.path.exists() else iter(())


def write_jsonl(path: str | Path, records: Iterable[Any]) -> None:
    """Write a new file, all or nothing: a half-written one never looks finished."""
    write_atomically(path, [to_json(record) + "\n" for record in records])


def write_atomically(path: str | Path, chunks: Iterable[str]) -> None:
    """Write text to `path` through a temporary file in the same folder and an atomic rename.
    InputError: the path has no name, or is a folder or a device; nothing is replaced."""
    path = Path(path)
    if not path.name or (path.exists() and not path.is_file()):
        raise InputError(f"{str(path)!r} is not a regular file; name one to write")
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
