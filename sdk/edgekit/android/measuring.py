"""Measuring the bundles of a search on a phone, in the demo app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.android.adb import UnreachableError
from edgekit.android.bench import bench, to_profile
from edgekit.android.phone import Phone
from edgekit.android.request import Request
from edgekit_converters.tuning.results import Measured
from edgekit_runtime.progress import Listener


class PhoneLostError(Exception):
    """The phone is out of reach: no fault of the bundle's, so that its choice stays untried. No EdgekitError for that reason."""


@dataclass(frozen=True)
class PhoneMeasure:
    """Times bundles on a phone; what ``tune`` takes as ``measure``.

    Attributes:
        phone: Where; the app is installed.
        texts: What is classified, in their own lengths.
        seconds: How long each bundle is timed.
        listener: Told of the steps.
    """

    phone: Phone
    texts: Sequence[str]
    seconds: float
    listener: Listener

    def __call__(self, bundle: Path, engine: str, threads: int) -> Measured:
        """Has the app measure a bundle.

        Raises:
            DeviceError: The app fails on it, dies or takes too long.
            PhoneLostError: The phone is out of reach.
        """
        request = Request(engine, threads, seconds=self.seconds)
        try:
            found = bench(self.phone, request, self.listener, bundle=bundle, texts=self.texts)
        except UnreachableError as error:
            raise PhoneLostError(str(error)) from error
        profile = to_profile(found)
        latency = profile.latency_ms
        return Measured(latency.p50, latency.p95, latency.p99, profile.memory_mib.rss_anon)
