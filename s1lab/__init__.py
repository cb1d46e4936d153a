"""s1lab: the reproduction of the paper around `s1core`.

Profiles and what each measures (`profiles`, `experiments`), the run store (`runs`), the kinds of
run (`kinds`) and who makes which (`lab`, `pipeline`), data, statistics, the audit of the paper's
numbers, the official loops, figures, plans and the book. `s1core` never imports from here.
"""

import json
from pathlib import Path
from typing import Any

import yaml


def packaged(name: str) -> Any:
    """A YAML or JSON file of this package, parsed: `packaged("audit/published.json")`."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)
