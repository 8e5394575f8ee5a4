"""`smslab plan`: how many recipients a question needs, or what a list can answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click

from campaigns.campaign_file import Campaign
from dashboards import metrics
from dashboards.format import count
from dashboards.texts import Words
from pipeline.measures import PROPORTIONS
from pipeline.stats import (
    detect_mean,
    detect_proportion,
    estimate_run_days,
    inflate_for_looks,
    size_guardrail,
    size_means,
    size_proportions,
)
from runtime.process import CannotRun
from smslab.as_json import defined
from smslab.dispatching import read_campaign
from smslab.options import JSON, LANG
from smslab.screen import Sentence, step, warn

_DAY_MS: Final = 86_400_000
_OPT_OUT_RATE: Final = 0.005
"""A usual rate of SMS campaigns: what the guardrail's size is computed for."""


class Answer(NamedTuple):
    """What a plan needs and gives; recipients of the whole audience, the holdout included."""

    needed: int
    """To find the campaign's minimum effect with its power."""
    detectable_effect: float
    """With the recipients there are; `nan` when none are given."""
    guardrail_needed: int | None
    """To show that opt-outs stay inside their limit, if they do not rise at all."""
    days: float | None
    """From the first send to the verdict."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--base", type=click.FloatRange(1e-6, 0.999), help="Rate of the control, e.g. 0.02.")
@click.option(
    "--deviation",
    type=click.FloatRange(min=1e-6),
    help="For money: standard deviation per recipient, minor units, from an earlier campaign.",
)
@click.option("--recipients", type=click.IntRange(10), help="How many people the list has.")
@click.option("--per-day", type=click.FloatRange(min=1), help="How many are sent to in a day.")
@LANG
@JSON
def plan(
    file: Path,
    *,
    base: float | None,
    deviation: float | None,
    recipients: int | None,
    per_day: float | None,
    lang: str,
    as_json: bool,
) -> None:
    """Tell before sending: how many recipients, how long, or which effect this list can show.

    Takes goal, method, shares, holdout and window from the campaign file.

    \b
    examples:
      smslab plan campaign.yaml --deviation 450 --recipients 20000
      smslab plan campaign.yaml --base 0.02 --per-day 50000 --lang zh
    """
    try:
        campaign = read_campaign(file)
        known = _known(campaign, base, deviation)
        answer = answer_plan(campaign, known, recipients=recipients, per_day=per_day)
    except CannotRun as error:
        raise Sentence(error) from error
    if as_json:
        click.echo(json.dumps(defined(answer._asdict())))
        return
    words = Words(lang)
    for line in _lines(words, campaign, answer, recipients, per_day):
        step(line)
    if recipients is not None and answer.needed > recipients:
        warn(words("plan.cannot"))


def answer_plan(
    campaign: Campaign, known: float, *, recipients: int | None, per_day: float | None
) -> Answer:
    """Size, smallest effect and run time of a campaign's test.

    Args:
        campaign: With at least two variants.
        known: The control's rate, or for money the standard deviation.
        recipients: Of the whole list.
        per_day: Recipients sent to in a day.

    Raises:
        CannotRun: If there is nothing to compare, or the effect is not possible.
    """
    shares = {arm: share * (1 - campaign.holdout) for arm, share in campaign.shares.items()}
    rivals = [share for arm, share in shares.items() if arm != campaign.control]
    if not rivals:
        raise CannotRun("variants: a single one has nothing to be compared with.")
    control = shares[campaign.control]
    test = _Test(campaign, campaign.plan.alpha / len(rivals), min(rivals) / control)
    try:
        per_control = test.size(known)
    except ValueError as error:
        raise CannotRun(f"goal.minimum_effect: {error}") from error
    needed = math.ceil(per_control / control)
    smallest = test.detectable(known, recipients * control) if recipients else math.nan
    smallest_share = min(shares.values())
    days = None
    if per_day:
        window_days = campaign.goal.window_ms / _DAY_MS
        arm = needed * smallest_share
        days = estimate_run_days(arm, smallest_share, per_day, window_days=window_days)
    return Answer(needed, smallest, _guardrail(test, smallest_share), days)


def _guardrail(test: _Test, smallest_share: float) -> int | None:
    """The verdict reads the upper end of a two-sided interval at the plan's level."""
    plan, margin = test.campaign.plan, test.campaign.guardrails.get("opt_out_rate")
    if not margin or margin >= 1:
        return None
    size = size_guardrail(_OPT_OUT_RATE, margin, alpha=plan.alpha / 2, power=plan.power)
    return math.ceil(size * test.inflation / smallest_share)


class _Test(NamedTuple):
    """The deciding comparison as it is planned."""

    campaign: Campaign
    alpha: float
    ratio: float

    @property
    def inflation(self) -> float:
        """How many times more a plan needs that may be read at any time."""
        plan = self.campaign.plan
        if plan.method == "fixed":
            return 1.0
        return inflate_for_looks(alpha=self.alpha, power=plan.power)

    def size(self, known: float) -> float:
        """Recipients of the control."""
        effect, power = self.campaign.goal.minimum_effect, self.campaign.plan.power
        size = size_proportions if self.campaign.goal.metric in PROPORTIONS else size_means
        return size(known, effect, alpha=self.alpha, power=power, ratio=self.ratio) * self.inflation

    def detectable(self, known: float, n: float) -> float:
        """The smallest effect that so many recipients of the control can show."""
        power = self.campaign.plan.power
        find = detect_proportion if self.campaign.goal.metric in PROPORTIONS else detect_mean
        return find(known, n / self.inflation, alpha=self.alpha, power=power, ratio=self.ratio)


def _known(campaign: Campaign, base: float | None, deviation: float | None) -> float:
    """What must be known beforehand: a rate's base, or the spread of money."""
    if campaign.goal.metric in PROPORTIONS:
        if base is None:
            raise CannotRun(f"--base: {campaign.goal.metric} needs the control's usual rate.")
        return base
    if deviation is None:
        raise CannotRun(
            f"--deviation: {campaign.goal.metric} needs the standard deviation per recipient, in "
            "minor units. For an order value v bought by a share p: v × margin × √(p(1 − p))."
        )
    return deviation


def _lines(
    words: Words,
    campaign: Campaign,
    answer: Answer,
    recipients: int | None,
    per_day: float | None,
) -> Iterator[str]:
    metric, currency = campaign.goal.metric, campaign.costs.currency
    name = metrics.name(words, metric)
    yield words(
        "plan.needed",
        n=count(answer.needed),
        effect=metrics.size(words, metric, campaign.goal.minimum_effect, currency),
        metric=name,
        power=f"{100 * campaign.plan.power:g}%",
        method=words("plan.fixed" if campaign.plan.method == "fixed" else "plan.sequential"),
    )
    if recipients is not None:
        smallest = metrics.size(words, metric, answer.detectable_effect, currency)
        is_any = math.isfinite(answer.detectable_effect)
        key = "plan.detectable" if is_any else "plan.detectable.none"
        yield words(key, n=count(recipients), metric=name, effect=smallest)
    if answer.guardrail_needed is not None:
        yield words("plan.guardrail", n=count(answer.guardrail_needed))
    if answer.days is not None and per_day is not None:
        yield words("plan.days", n=count(per_day), days=f"{answer.days:.1f}")
