"""Profiles: what a file may say, and that anything else is refused in one sentence, at once."""

import dataclasses
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from s1core.errors import InputError
from s1lab import profiles

SMOKE = yaml.safe_load((profiles.FOLDER / "smoke.yaml").read_text())


@pytest.mark.parametrize("name", profiles.names())
def test_every_shipped_profile_loads_by_name_and_by_path(name: str) -> None:
    assert profiles.load(name).name == name
    assert profiles.load(profiles.FOLDER / f"{name}.yaml") == profiles.load(name)


@pytest.mark.parametrize("name", ["mainframe", "", "../smoke", "/etc/passwd", "smoke ", "*"])
def test_a_name_is_one_of_the_shipped_ones_or_a_yaml_file(name: str) -> None:
    with pytest.raises(InputError, match="no profile .*laptop"):
        profiles.load(name)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The smoke profile with one value replaced; "evaluation.samples" is one inside a section."""
    section, _, name = path.rpartition(".")
    if not section:
        return {**SMOKE, name: value}
    return {**SMOKE, section: {**SMOKE.get(section, {}), name: value}}


KINDS = ("Profile", "Evaluation", "Ablations", "Methods", "Attempts")


def numbers() -> list[tuple[str, Any, bool]]:
    """Every number of a profile: where it is, what it is, and whether it is a list of them."""
    found = []
    sections = {"": profiles.Profile, "evaluation.": profiles.Evaluation}
    sections |= {"ablations.": profiles.Ablations, "methods.": profiles.Methods}
    sections |= {"attempts.": profiles.Attempts}
    for prefix, kind in sections.items():
        for field in dataclasses.fields(kind):
            hint = profiles.get_type_hints(kind, include_extras=True)[field.name]
            if limits := profiles._limits(hint):
                found.append((prefix + field.name, limits, "tuple" in str(hint)))
    return found


def test_every_number_of_a_profile_declares_its_range() -> None:
    declared = {path for path, _, _ in numbers()}
    plain = set()
    for kind in (getattr(profiles, name) for name in KINDS):
        for name, hint in profiles.get_type_hints(kind).items():
            if any(one in str(hint) for one in ("int", "float")):
                plain.add(name)
    assert {path.rpartition(".")[2] for path in declared} == plain and len(declared) == 30


@pytest.mark.parametrize("path, limits, many", numbers(), ids=lambda value: str(value)[:24])
def test_a_number_out_of_its_range_or_of_another_type_is_refused(
    path: str, limits: Any, many: bool, tmp_path: Path
) -> None:
    least, most, whole = limits
    wrong = [least - 1, most + 1, float("nan"), float("inf"), "3", True, [[1]], {"a": 1}, 10**30]
    for value in [*wrong, *([1.5] if whole else [])]:
        file = tmp_path / "p.yaml"
        file.write_text(yaml.safe_dump(changed(path, [value] if many else value)))
        with pytest.raises(InputError) as refused:
            profiles.load(file)
        said = str(refused.value)
        assert said.startswith(f"{file}: ") and path.rpartition(".")[2] in said, said
        assert "\n" not in said and len(said) < 400
    if path != "selected":  # of no more than the pool has
        file.write_text(yaml.safe_dump(changed(path, [most, least] if many else most)))
        profiles.load(file)


@pytest.mark.parametrize(
    "name", ["../../victim", "", "a/b", ".", "..", "a b", "x\n", "-x", "\x1b[2J"]
)
def test_a_profile_is_called_what_a_folder_may_be_called(name: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({**SMOKE, "name": name}))
    with pytest.raises(InputError, match="name is letters, digits"):
        profiles.load(tmp_path / "p.yaml")
    with pytest.raises(InputError, match="name is letters, digits"):
        dataclasses.replace(profiles.load("smoke"), name=name)


OTHERS = {
    "template": ["", "chatml?", 3, None],
    "model": [3, None, ["pocket-large"]],
    "graders": [["pocket-small"], "pocket-small", [1, 2], []],
    "pool": ["nowhere", 7, None],
    "selected": [201],  # of a pool of 200
    "engine": ["vllm2", None],
    "rehearsal": ["no", 1],
    "sft": [[1], {"lr": "fast"}, {"lr": 0}, {"rate": 1e-3}, {"epochs": 0}, {"max_seq_len": -1}],
    "efforts": [["low"], {"low": 3}, {"low": {"num": 1}}, {"low": {"max_thinking": -1}}],
    "released": [
        {"x": {}},
        {"x": "org/model"},
        {"x": {"model": 3}},
        {"x": {"model": "org/model", "budgets": [-1]}},
        {"x": {"model": "org/model", "waits": "many"}},
        {"x": {"model": "org/model", "speed": 1}},
    ],
    "evaluation.benchmarks": [[], ["AIME99"], "countdown", [3]],
    "ablations.subsets": [["smallest"], "random"],
    "methods.classes": [["long", "longer"]],
    "methods.ignore_strs": ["Wait", [3]],
    "evaluation": [None, [], 3, {"benchmarks": ["countdown"]}],
    "seeds": [3],  # unknown here; it belongs to ablations
}


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, values in OTHERS.items() for value in values],
    ids=str,
)
def test_a_value_that_nothing_here_knows_is_refused(path: str, value: Any, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)))
    with pytest.raises(InputError) as refused:
        profiles.load(file)
    assert str(refused.value).startswith(f"{file}: ") and "\n" not in str(refused.value)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi")
)
FILES = {
    "a list": b"- a list",
    "nothing": b"",
    "a word": b"laptop",
    "not closed": b"a: [",
    "missing": b"name: x\nevaluation: {}",
    "not UTF-8": b"name: \xff\xfe",
    "binary": bytes(range(256)),
    "a tag": b"name: !!python/object/apply:os.system [true]",
    "a date": b"name: 2024-01-01",
    "a key that is no name": b"? [a]\n: b",
    "numbers for names": b"1: 2\n3: 4",
    "a number without end": b"name: " + b"9" * 9_000,
    "nested": b"name: " + b"[" * 20_000,
    "an alias": b"name: &x smoke\ntitle: *x",
    "a merge": b"base: &b {name: x}\n<<: *b",
    "a bomb": BOMB.encode(),
    "a surrogate": b'name: "\\ud800"',
    "large": b"# " + b"x" * 100_000,
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_that_is_no_profile_is_refused_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(content)
    with pytest.raises(InputError, match=r"p\.yaml: ") as refused:
        profiles.load(tmp_path / "p.yaml")
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_a_folder_a_device_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    for name in ("folder.yaml", "device.yaml", "none.yaml"):
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            profiles.load(tmp_path / name)


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(BOMB)
    limit = 400 << 20

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "s1lab.cli", "plan", "p.yaml"],
        cwd=tmp_path,
        preexec_fn=bounded,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "no aliases" in done.stderr, done.stderr
