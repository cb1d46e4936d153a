"""The files that install and build the project say the same thing, once."""

import os
import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def constraints() -> dict[str, str]:
    lines = (CHECKOUT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", pin) for pin in pins), pins
    return {canonicalize_name(name): version for name, version in (p.split("==") for p in pins)}


def requirements(*extras: str) -> dict[str, Requirement]:
    optional = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {one.name: one for one in map(Requirement, lines)}


def test_every_direct_dependency_is_pinned_within_its_range_but_torch_is_left_to_the_machine():
    pinned, wanted = constraints(), requirements("book", "test", "bench")
    assert str(wanted.pop("torch").specifier) == "==2.13.0"
    for name, requirement in wanted.items():
        assert requirement.specifier.contains(pinned[canonicalize_name(name)]), name
    assert not [one for one in pinned if one.startswith(("torch", "nvidia", "triton", "cuda"))]
    assert len(pinned) > 100
    # vLLM 0.32.0 is built for torch 2.13.0 and takes transformers >=5.16.1,<5.20.
    assert str(requirements("gpu")["vllm"]) == "vllm==0.32.0" and "vllm" not in pinned
    assert Requirement("transformers>=5.16.1,<5.20").specifier.contains(pinned["transformers"])


@pytest.mark.parametrize(
    ("name", "extras"), [("environment.yml", "book,test"), ("environment-gpu.yml", "book,test,gpu")]
)
def test_conda_takes_its_pins_from_the_same_place(name, extras):
    environment = yaml.safe_load((CHECKOUT / name).read_text())
    conda = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    assert {re.split("[=<>]", line)[0] for line in conda} == {"python", "pip", "make", "git"}
    assert pip == ["-c constraints.txt", f"-e .[{extras}]"]
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_no_file_of_the_build_names_a_package_registry():
    names = "pyproject.toml constraints.txt environment.yml environment-gpu.yml Makefile"
    for name in [*names.split(), ".ci/run", ".ci/prerequisites"]:
        text = (CHECKOUT / name).read_text()
        named = r"index-url\s*=?\s*http|pypi\.org|whl/cpu|https?://[^\s\"]*simple"
        assert not re.search(named, text), name


def test_the_citation_names_the_paper_and_this_version():
    citation = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == "Apache-2.0"
    (paper,) = citation["references"]
    assert paper["url"] == "https://arxiv.org/abs/2501.19393" and len(paper["authors"]) == 10


def run(*line: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, **options)


def make(*words: str) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return run("make", *words, env=clean).stdout


MISSING = {"git": "git is not installed", "python": "no Python 3.11 or newer found"}
MISSING |= {"venv": "has no venv module"}


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_prerequisite_is_one_clear_sentence(tmp_path, missing):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in {"bash", "git"} - {missing}:
        (tools / name).symlink_to(f"/usr/bin/{name}")
    if missing == "venv":
        # A Python that is recent enough and cannot import ensurepip, as Debian's minimal one.
        fake = tools / "python3"
        fake.write_text('#!/usr/bin/bash\n[[ "$2" != *ensurepip* ]]\n')
        fake.chmod(0o755)
    script = str(CHECKOUT / ".ci/prerequisites")
    done = run("/usr/bin/bash", script, str(tmp_path / ".venv"), env={"PATH": str(tools)})
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert MISSING[missing] in done.stderr and not (tmp_path / ".venv").exists()


def test_make_lists_its_targets_and_another_seed_or_profile_gets_a_book_of_its_own():
    listed = set(re.findall(r"^  make (\S+) ", make("help"), re.MULTILINE))
    assert {"setup", "reproduce", "notebooks", "book", "serve", "test", "nbval"} <= listed
    assert {"lint", "bench", "clean", "accept", "help"} <= listed
    asked = ("--dry-run", "--always-make", "execute-notebooks")
    assert "--output book/notebooks/" in make(*asked)
    assert "--output book/_build/smoke/notebooks/" in make(*asked, "PROFILE=smoke")
    seeded = "--seed 3 --output book/_build/laptop-seed3/notebooks/"
    assert seeded in make(*asked, "SEED=3")
    made = make("--dry-run", "--always-make", "reproduce")  # committed ones stay as they are
    assert "--output book/_build/laptop/notebooks/" in made and " book/notebooks/" not in made
