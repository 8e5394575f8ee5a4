"""The texts that were sent, as they stand in the campaign file."""

from __future__ import annotations

from dashboards.components.html import colour_of, dot, esc, section, title
from dashboards.facts import Decision
from dashboards.format import percent
from dashboards.texts import Words


def texts_html(words: Words, decision: Decision) -> str:
    """One bubble per text; placeholders stay as they are written."""
    bubbles = "".join(
        f"<figure><figcaption>{dot(colour_of(i))}<b>{esc(v.variant_id)}</b>"
        f"<span>{esc(words('texts.share', share=percent(v.share)))}</span></figcaption>"
        f"<blockquote>{esc(v.template)}</blockquote></figure>"
        for i, v in enumerate(decision.variants)
    )
    return section(words, "texts", f'{title(words("texts.title"))}<div class="sms">{bubbles}</div>')
