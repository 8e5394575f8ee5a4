"""Which parts of a plan may stand together. Pure; the reasons are in docs/statistics.md."""

from __future__ import annotations

from typing import Final

ONE_LOOK: Final = frozenset({"bh", "dunnett"})
"""Families whose promise holds for one look, when the plan ends."""
MONEY: Final = frozenset({"revenue_per_recipient", "profit_per_recipient"})


def plan_conflict(*, method: str, family: str, metric: str, covariate: str | None) -> str | None:
    """The first rule that a plan breaks, beginning with its place in the file, or `None`.

    Examples:
        >>> plan_conflict(method="fixed", family="holm", metric="click_rate", covariate=None)
        >>> plan_conflict(method="sequential", family="bh", metric="click_rate", covariate=None)
        "plan.family: 'bh' holds for one look only; with method sequential use holm or bonferroni."
    """
    if family in ONE_LOOK and method != "fixed":
        return (
            f"plan.family: {family!r} holds for one look only; with method {method} "
            "use holm or bonferroni."
        )
    if family == "dunnett" and metric not in MONEY:
        return (
            f"plan.family: 'dunnett' compares means of equal spread; with metric {metric} "
            "use holm or bonferroni."
        )
    if family == "dunnett" and covariate is not None:
        return (
            "plan.family: 'dunnett' knows no covariate; leave covariate out, or use holm or "
            "bonferroni."
        )
    return None
