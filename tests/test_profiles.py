"""Profiles: what a file may say, and that anything else is refused in one sentence, at once."""

import dataclasses
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import yaml

from s1core.errors import InputError
from s1lab import profiles
from tests.helpers import cases

TABLES = cases("profiles")
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


SECTIONS = {"": profiles.Profile, "evaluation.": profiles.Evaluation}
SECTIONS |= {"ablations.": profiles.Ablations, "methods.": profiles.Methods}
SECTIONS |= {"attempts.": profiles.Attempts}
NUMBERS = {  # every number of a profile: where it stands, and how it is declared
    prefix + name: hint
    for prefix, kind in SECTIONS.items()
    for name, hint in get_type_hints(kind, include_extras=True).items()
    if any(one in str(hint) for one in ("int", "float"))
}


@pytest.mark.parametrize("path", NUMBERS)
def test_a_number_out_of_its_range_or_of_another_type_is_refused(path, tmp_path):
    assert len(NUMBERS) == 29
    many, kind = "tuple" in str(NUMBERS[path]), NUMBERS[path]
    kind = kind if get_origin(kind) is Annotated else get_args(kind)[0]
    (least, most), whole = kind.__metadata__, kind.__origin__ is int
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


@pytest.mark.parametrize("name", TABLES["names"])
def test_a_profile_is_called_what_a_folder_may_be_called(name, tmp_path):
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({**SMOKE, "name": name}))
    with pytest.raises(InputError, match="name is letters, digits"):
        profiles.load(tmp_path / "p.yaml")
    with pytest.raises(InputError, match="name is letters, digits"):
        dataclasses.replace(profiles.load("smoke"), name=name)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi")
)
FILES = {name: text.encode("l1") for name, text in TABLES["files"].items()}
FILES |= {"binary": bytes(range(256)), "a bomb": BOMB.encode(), "large": b"# " + b"x" * 100_000}
FILES |= {"a number without end": b"name: " + b"9" * 9_000, "nested": b"name: " + b"[" * 20_000}
for place, values in TABLES["others"].items():
    for other in values:
        FILES[f"{place}: {other}"] = yaml.safe_dump(changed(place, other)).encode()


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_that_is_no_profile_is_refused_in_a_sentence(content, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as refused:
        profiles.load(file)
    said = str(refused.value)
    assert said.startswith(f"{file}: ") and "\n" not in said and len(said) < 600
    # What is refused before anything is built of it takes no memory.
    assert content != BOMB.encode() or "no aliases" in said


def test_a_folder_a_device_and_no_file_are_refused(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    for name in ("folder.yaml", "device.yaml", "none.yaml"):
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            profiles.load(tmp_path / name)
