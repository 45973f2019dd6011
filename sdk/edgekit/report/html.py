"""Pages: one file each, without scripts, fonts, images or anything else from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.report import compared, history, profiled
from edgekit.report.text import clean
from edgekit_runtime.errors import require
from edgekit_runtime.profiling.profile import Profile

if TYPE_CHECKING:
    from edgekit.comparison import Comparison


def profile_html(profile: Profile) -> str:
    """A profile as a page.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    check_packages("a page")
    from edgekit.report import charts

    latency, samples = profile.latency_ms, profile.samples_ms
    drawn = {
        "distribution": charts.distribution(latency, samples, charts.WIDE),
        "distribution_narrow": charts.distribution(latency, samples, charts.NARROW),
        "by_length": charts.by_length(profile.by_bucket) if len(profile.by_bucket) > 1 else "",
        "drift": charts.drift(samples) if len(samples) > 1 else "",
        "windows": charts.windows(profile.energy.windows) if profile.energy.windows else "",
    }
    return _page("profile.html.j2", profile=profile, show=profiled, made=history, charts=drawn)


def comparison_html(comparison: Comparison) -> str:
    """A comparison as a page.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    check_packages("a page")
    from edgekit.report import fronts

    drawn = {"latency": fronts.latency(comparison.rows), "size": fronts.size(comparison.rows)}
    return _page("comparison.html.j2", comparison=comparison, show=compared, charts=drawn)


def check_packages(purpose: str) -> None:
    """Asks for what draws pages; asked before long work rather than after it.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    for module in ("jinja2", "matplotlib"):
        require(module, extra="report", purpose=purpose)


def _page(template: str, **values: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgekit.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    return environment.get_template(template).render(**values) + "\n"
