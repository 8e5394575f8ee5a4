"""What the checks and the verdict look at: a campaign's arms at one moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.arms import Arm
from pipeline.looks import is_sequential
from pipeline.rows import Campaign, JoinHealth, Variant


@dataclass(frozen=True, slots=True)
class Examined:
    """A campaign at one moment. `live` and `mature` hold the same arms in the same order."""

    campaign: Campaign
    variants: Sequence[Variant]
    live: Sequence[Arm]
    mature: Sequence[Arm]
    join: JoinHealth
    seconds_left: int | None
    lost: Mapping[str, int] = field(default_factory=dict)
    """Topic → records that are missing for good and may have been about this campaign."""

    @property
    def assigned(self) -> int:
        """Everybody assigned so far."""
        return sum(arm.n for arm in self.live)

    @property
    def matured(self) -> int:
        """Those whose window has passed."""
        return sum(arm.n for arm in self.mature)

    @property
    def is_complete(self) -> bool:
        """Whether everybody of the audience is assigned and has had the whole window."""
        expected = self.campaign.audience_size
        everybody = expected is None or self.assigned >= expected
        return self.assigned > 0 and everybody and self.matured == self.assigned

    @property
    def is_over(self) -> bool:
        """Whether this is the one last look. Of an audience of unknown size nobody can say so."""
        return self.is_complete and self.campaign.audience_size is not None

    @property
    def at_any_time(self) -> bool:
        """Whether what is computed now must hold at every look, not only at the end."""
        return is_sequential(self.campaign) or not self.is_over
