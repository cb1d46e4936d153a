"""The files that install and build the project say the same thing, once."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def constraints() -> dict[str, str]:
    lines = (CHECKOUT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", pin) for pin in pins), pins
    return {canonicalize_name(name): version for name, version in (p.split("==") for p in pins)}


def requirements(*extras: str) -> list[Requirement]:
    optional = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    return [Requirement(line) for line in lines]


def test_constraints_leave_torch_and_its_build_to_the_machine() -> None:
    names = set(constraints())
    assert not {name for name in names if name.startswith(("torch", "nvidia", "triton", "cuda"))}
    assert len(names) > 100


@pytest.mark.parametrize("requirement", requirements("book", "test", "bench"), ids=lambda r: r.name)
def test_every_direct_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    if requirement.name == "torch":
        assert str(requirement.specifier) == "==2.13.0"
        return
    pinned = constraints()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pinned)


@pytest.mark.parametrize(
    ("name", "extras"), [("environment.yml", "book,test"), ("environment-gpu.yml", "book,test,gpu")]
)
def test_conda_takes_its_pins_from_the_same_place(name: str, extras: str) -> None:
    environment = yaml.safe_load((CHECKOUT / name).read_text())
    conda = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    assert {re.split("[=<>]", line)[0] for line in conda} == {"python", "pip", "make", "git"}
    assert pip == ["-c constraints.txt", f"-e .[{extras}]"]
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_gpu_box_gets_the_vllm_and_the_torch_that_belong_together() -> None:
    """vLLM 0.32.0 is built for torch 2.13.0 and takes transformers >=5.16.1,<5.20."""
    (vllm,) = requirements("gpu")[-1:]
    assert str(vllm) == "vllm==0.32.0"
    torch = next(r for r in requirements() if r.name == "torch")
    assert str(torch.specifier) == "==2.13.0"
    pinned = constraints()["transformers"]
    assert Requirement("transformers>=5.16.1,<5.20").specifier.contains(pinned)
    assert "vllm" not in constraints()  # one place for that pin


def test_no_file_of_the_build_names_a_package_registry() -> None:
    names = ["pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run"]
    names.append("environment-gpu.yml")
    for name in [*names, ".ci/prerequisites"]:
        text = (CHECKOUT / name).read_text()
        assert not re.search(
            r"index-url\s*=?\s*http|pypi\.org|whl/cpu|https?://[^\s\"]*simple", text
        )


def test_the_citation_names_the_paper_and_this_version() -> None:
    citation = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == "Apache-2.0"
    (paper,) = citation["references"]
    assert paper["url"] == "https://arxiv.org/abs/2501.19393" and len(paper["authors"]) == 10


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=CHECKOUT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_help_lists_every_target_that_has_a_purpose() -> None:
    listed = set(re.findall(r"^  make (\S+) ", make("help").stdout, re.MULTILINE))
    assert {"setup", "reproduce", "notebooks", "book", "serve", "test", "nbval"} <= listed
    assert {"lint", "bench", "clean", "accept", "help"} <= listed


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("git", "git is not installed"),
        ("python", "no Python 3.11 or newer found"),
        ("venv", "has no venv module"),
    ],
)
def test_a_missing_prerequisite_is_one_clear_sentence(
    tmp_path: Path, missing: str, message: str
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in {"bash", "git"} - {missing}:
        (tools / name).symlink_to(f"/usr/bin/{name}")
    if missing == "venv":
        # A Python that is recent enough and cannot import ensurepip, as Debian's minimal one.
        fake = tools / "python3"
        fake.write_text('#!/usr/bin/bash\n[[ "$2" != *ensurepip* ]]\n')
        fake.chmod(0o755)
    done = subprocess.run(
        ["/usr/bin/bash", str(CHECKOUT / ".ci/prerequisites"), str(tmp_path / ".venv")],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_scripts_have_no_errors_that_shellcheck_sees() -> None:
    found = (CHECKOUT.glob(f"{f}/**/*.s[hb]*") for f in ("launch", "benchmarks", "s1lab"))
    recipes = [str(path) for paths in found for path in paths]
    assert len(recipes) == 4
    try:
        done = subprocess.run(
            ["shellcheck", ".ci/run", ".ci/prerequisites", *recipes],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("shellcheck is not installed")
    assert done.returncode == 0, done.stdout


def test_another_seed_or_profile_gets_a_book_of_its_own() -> None:
    def output(*arguments: str) -> str:
        return make("--dry-run", "--always-make", "execute-notebooks", *arguments).stdout

    if not list((CHECKOUT / "notebooks").glob("*.py")):
        pytest.skip("there are no notebooks yet")
    assert "--output book/notebooks/" in output()
    assert "--output book/_build/smoke/notebooks/" in output("PROFILE=smoke")
    seeded = output("SEED=3")
    assert "--seed 3 --output book/_build/laptop-seed3/notebooks/" in seeded
