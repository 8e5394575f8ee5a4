"""One arm's counters and moments, added up, and the quantities that follow from them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from campaigns.currency import micro_per_minor
from pipeline.rows import Campaign, Cohort, Counters, Moments
from pipeline.stats.means import MeanSummary


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

    def revenue(self) -> MeanSummary:
        """Net revenue per recipient."""
        return self.linear(Fraction(1), Fraction(0), Fraction(0))

    def cost(self) -> MeanSummary:
        """SMS cost per recipient."""
        return self.linear(Fraction(0), Fraction(1), Fraction(0))

    def gain(self, campaign: Campaign) -> MeanSummary:
        """Margin less the cost of opt-outs, before SMS cost, per recipient."""
        return self.linear(margin_of(campaign), Fraction(0), -opt_out_cost(campaign))

    def profit(self, campaign: Campaign) -> MeanSummary:
        """Gain less SMS cost, per recipient."""
        return self.linear(margin_of(campaign), Fraction(-1), -opt_out_cost(campaign))

    def linear(self, r: Fraction, c: Fraction, o: Fraction) -> MeanSummary:
        """Summary of r·revenue + c·cost + o·opted_out per recipient, all in minor units."""
        m = self.moments
        unit = Fraction(1, self.micro_per_minor)
        total = r * self.net_revenue_minor + c * self.cost_minor + o * self.counters.opted_out
        squares = r * r * m.sum_rr + c * c * m.sum_cc * unit * unit
        squares += o * o * self.counters.opted_out
        squares += 2 * (r * c * m.sum_rc * unit + r * o * m.sum_ro + c * o * m.sum_co * unit)
        return MeanSummary(self.n, total, squares)

    def gain_cost_covariance(self, campaign: Campaign) -> float:
        """Covariance of the means of gain and cost: needed where one divides the other."""
        if self.n < 2:
            return float("nan")
        unit = Fraction(1, self.micro_per_minor)
        products = margin_of(campaign) * self.moments.sum_rc * unit
        products -= opt_out_cost(campaign) * self.moments.sum_co * unit
        gain, cost = self.gain(campaign), self.cost()
        covariance = (products - gain.total * cost.total / self.n) / (self.n - 1)
        return float(covariance / self.n)


def margin_of(campaign: Campaign) -> Fraction:
    """The margin as the decimal that was written."""
    return Fraction(repr(campaign.margin))


def opt_out_cost(campaign: Campaign) -> Fraction:
    """Minor units per opt-out."""
    return Fraction(campaign.opt_out_cost_minor)


def add_up(variant_id: str, cohorts: Iterable[Cohort], currency: str) -> Arm:
    """Add the whole-cohort rows of one arm of a campaign in `currency` (ISO 4217)."""
    rows = [row for row in cohorts if row.variant_id == variant_id and row.dimension == ""]
    counters = {
        name: sum(getattr(row.counters, name) for row in rows)
        for name in Counters.__struct_fields__
    }
    moments = {
        name: sum(getattr(row.moments, name) for row in rows) for name in Moments.__struct_fields__
    }
    return Arm(variant_id, Counters(**counters), Moments(**moments), micro_per_minor(currency))
