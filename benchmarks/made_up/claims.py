"""How a benchmark tells what it claims: a line each, and with `--json` one object on the last line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def tell(claims: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print claims.

    Args:
        claims: each with `claim`, `value`, `target`, `holds`.
        as_json: whether the object that machines read follows.
    """
    for one in claims:
        verdict = "holds" if one["holds"] else "FAILS"
        print(f"{verdict}  {one['claim']}: {one['value']} (target {one['target']})")
    if as_json:
        print(json.dumps({"claims": list(claims)}))
