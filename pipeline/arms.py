"""One arm's counters and moments, added up, and the quantities that follow from them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from campaigns.currency import micro_per_minor
from pipeline.rows import Campaign, Cohort, Counters, Moments
from pipeline.stats.means import MeanSummary
from pipeline.stats.pairs import PairSummary
from pipeline.stats.profit import MoneySummary, Prices, summarize_profit


@dataclass(frozen=True, slots=True)
class Arm:
    """The sums of one arm."""

    variant_id: str
    counters: Counters
    moments: Moments
    micro_per_minor: int
    """Of the campaign's currency; costs are micro-units, everything else minor units."""

    @property
    def n(self) -> int:
        """Assigned recipients: the denominator of everything."""
        return self.counters.assigned

    @property
    def net_revenue_minor(self) -> int:
        """Σr."""
        return self.counters.revenue_minor - self.counters.refunded_minor

    @property
    def cost_minor(self) -> Fraction:
        """Σc in minor units."""
        return Fraction(self.counters.cost_micro, self.micro_per_minor)

    @property
    def money(self) -> MoneySummary:
        """What was earned and spent: for finance."""
        m = self.moments
        return self._money(self.net_revenue_minor, m.sum_rr, m.sum_rc, m.sum_ro)

    @property
    def capped(self) -> MoneySummary:
        """The same with net revenue under the plan's cap: for comparisons."""
        m = self.moments
        return self._money(m.sum_k, m.sum_kk, m.sum_kc, m.sum_ko)

    @property
    def past(self) -> MeanSummary:
        """The covariate per recipient; 0 for whom it was not known."""
        return MeanSummary(self.n, Fraction(self.moments.sum_v), Fraction(self.moments.sum_vv))

    def _money(self, revenue: int, squares: int, by_cost: int, by_opt_out: int) -> MoneySummary:
        m, unit = self.moments, self.micro_per_minor
        return MoneySummary(
            self.n,
            r=Fraction(revenue),
            c=self.cost_minor,
            o=self.counters.opted_out,
            rr=Fraction(squares),
            rc=Fraction(by_cost, unit),
            ro=Fraction(by_opt_out),
            cc=Fraction(m.sum_cc, unit * unit),
            co=Fraction(m.sum_co, unit),
        )

    def with_past(self, outcome: MeanSummary, products: int | Fraction) -> PairSummary:
        """An outcome beside the covariate; `products`: Σ of outcome times covariate."""
        m = self.moments
        return PairSummary(
            self.n,
            y=outcome.total,
            x=Fraction(m.sum_v),
            yy=outcome.squares,
            xy=Fraction(products),
            xx=Fraction(m.sum_vv),
        )


def prices_of(campaign: Campaign) -> Prices:
    """What turns counts into money; the margin as the decimal that was written."""
    return Prices(Fraction(repr(campaign.margin)), Fraction(campaign.opt_out_cost_minor))


def revenue_of(money: MoneySummary) -> MeanSummary:
    """Net revenue per recipient."""
    return MeanSummary(money.n, money.r, money.rr)


def profit_of(money: MoneySummary, campaign: Campaign) -> MeanSummary:
    """Revenue × margin less SMS cost and the cost of opt-outs, per recipient."""
    return summarize_profit(money, prices_of(campaign))


def past_profit(arm: Arm, campaign: Campaign) -> Fraction:
    """Σ of capped profit times covariate."""
    m, prices = arm.moments, prices_of(campaign)
    cost = Fraction(m.sum_cv, arm.micro_per_minor)
    return prices.margin * m.sum_kv - cost - prices.opt_out_cost * m.sum_ov


Segment = tuple[str, str]
"""(attribute, value)."""


def add_up(variant_id: str, cohorts: Iterable[Cohort], currency: str) -> Arm:
    """Add the whole-cohort rows of one arm of a campaign in `currency` (ISO 4217)."""
    rows = [row for row in cohorts if row.variant_id == variant_id and row.dimension == ""]
    return _sum(variant_id, rows, currency)


def add_up_segments(cohorts: Iterable[Cohort], currency: str) -> dict[Segment, dict[str, Arm]]:
    """The same by attribute and value, then arm; an arm without a row there is absent."""
    rows: dict[tuple[Segment, str], list[Cohort]] = {}
    for row in cohorts:
        if row.dimension:
            rows.setdefault(((row.dimension, row.value), row.variant_id), []).append(row)
    found: dict[Segment, dict[str, Arm]] = {}
    for (segment, variant_id), own in rows.items():
        found.setdefault(segment, {})[variant_id] = _sum(variant_id, own, currency)
    return found


def _sum(variant_id: str, rows: Sequence[Cohort], currency: str) -> Arm:
    counters = {
        name: sum(getattr(row.counters, name) for row in rows)
        for name in Counters.__struct_fields__
    }
    moments = {
        name: sum(getattr(row.moments, name) for row in rows) for name in Moments.__struct_fields__
    }
    return Arm(variant_id, Counters(**counters), Moments(**moments), micro_per_minor(currency))
