"""Values as JSON can say them."""

from __future__ import annotations

import math
from typing import Any


def defined(value: Any) -> Any:
    """The same with null, as in SQL, for numbers that are undefined or infinite."""
    if isinstance(value, dict):
        return {key: defined(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [defined(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
