"""Statistics of A/B tests on summaries, never on rows. Pure: no I/O, no clock, no random numbers.

`compare_…` and `check_…` are for one look, when the plan says so; `watch_…` hold at every look.
Effects are treatment minus control. Undefined numbers are `nan`; only a caller's mistake raises.
"""

from pipeline.stats.bandit import allocate_shares, compare_within_periods, update_shares
from pipeline.stats.best import RankResult, compare_losses, rank_means, rank_proportions
from pipeline.stats.cuped import (
    AdjustedMeans,
    AdjustedResult,
    adjust_means,
    compare_adjusted_means,
)
from pipeline.stats.event_rates import RateResult, compare_event_rates, estimate_event_rate
from pipeline.stats.exact import compare_exactly
from pipeline.stats.guardrails import (
    GuardrailResult,
    check_guardrail,
    check_mean_guardrail,
    is_equivalent,
    judge_bounds,
)
from pipeline.stats.lifts import divide_estimates, estimate_lift, lift_proportions
from pipeline.stats.means import MeanSummary, compare_means, estimate_mean
from pipeline.stats.multiplicity import adjust_pvalues, compare_with_control
from pipeline.stats.pairs import PairSummary
from pipeline.stats.power import (
    compute_power,
    detect_mean,
    detect_proportion,
    estimate_run_days,
    inflate_for_looks,
    size_guardrail,
    size_means,
    size_proportions,
)
from pipeline.stats.profit import (
    MoneySummary,
    Prices,
    RoiResult,
    compare_profit,
    estimate_incremental_roi,
    summarize_gain,
    summarize_profit,
)
from pipeline.stats.proportions import compare_proportions, estimate_proportion
from pipeline.stats.quantiles import estimate_quantile
from pipeline.stats.rare import watch_rare_proportion, watch_rare_proportions
from pipeline.stats.ratios import compare_ratios, estimate_ratio, measure_design_effect
from pipeline.stats.results import Counts, DifferenceResult, EstimateResult, LiftResult
from pipeline.stats.segments import SegmentsResult, compare_segments, shrink_effects
from pipeline.stats.sequential import (
    watch_estimate,
    watch_means,
    watch_proportions,
    watch_ratios,
    widen_for_looks,
)
from pipeline.stats.spending import (
    crossing_chances,
    design_boundaries,
    find_boundaries,
    spend_alpha,
)
from pipeline.stats.srm import (
    SampleRatioResult,
    check_equal_rates,
    check_sample_ratio,
    watch_sample_ratio,
)
from pipeline.stats.winsor import cap_amount, choose_cap, summarize_capped

__all__ = [
    "AdjustedMeans",
    "AdjustedResult",
    "Counts",
    "DifferenceResult",
    "EstimateResult",
    "GuardrailResult",
    "LiftResult",
    "MeanSummary",
    "MoneySummary",
    "PairSummary",
    "Prices",
    "RankResult",
    "RateResult",
    "RoiResult",
    "SampleRatioResult",
    "SegmentsResult",
    "adjust_means",
    "adjust_pvalues",
    "allocate_shares",
    "cap_amount",
    "check_equal_rates",
    "check_guardrail",
    "check_mean_guardrail",
    "check_sample_ratio",
    "choose_cap",
    "compare_adjusted_means",
    "compare_event_rates",
    "compare_exactly",
    "compare_losses",
    "compare_means",
    "compare_profit",
    "compare_proportions",
    "compare_ratios",
    "compare_segments",
    "compare_with_control",
    "compare_within_periods",
    "compute_power",
    "crossing_chances",
    "design_boundaries",
    "detect_mean",
    "detect_proportion",
    "divide_estimates",
    "estimate_event_rate",
    "estimate_incremental_roi",
    "estimate_lift",
    "estimate_mean",
    "estimate_proportion",
    "estimate_quantile",
    "estimate_ratio",
    "estimate_run_days",
    "find_boundaries",
    "inflate_for_looks",
    "is_equivalent",
    "judge_bounds",
    "lift_proportions",
    "measure_design_effect",
    "rank_means",
    "rank_proportions",
    "shrink_effects",
    "size_guardrail",
    "size_means",
    "size_proportions",
    "spend_alpha",
    "summarize_capped",
    "summarize_gain",
    "summarize_profit",
    "update_shares",
    "watch_estimate",
    "watch_means",
    "watch_proportions",
    "watch_rare_proportion",
    "watch_rare_proportions",
    "watch_ratios",
    "watch_sample_ratio",
    "widen_for_looks",
]
