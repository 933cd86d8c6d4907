"""What follows from a verdict: a note in the audit log, and the change that it asks for."""

from __future__ import annotations

from plumbline.registry.releases import Release, Releases
from serving.release.judge import Verdict


def remember(releases: Releases, release: Release, verdict: Verdict) -> None:
    """Writes a verdict to the audit log, unless the last one said the same: it may be asked for every minute."""
    said = f"{verdict.decision}, {verdict.basis}"
    if said != release.verdict:
        releases.keep_verdict(release, said, verdict.why, {"decision": verdict.decision, **verdict.numbers})


def carry_out(releases: Releases, release: Release, verdict: Verdict) -> Release:
    """Promotes, rolls back, or leaves it as it is; gives the release as it is then."""
    if verdict.decision == "promote":
        return releases.promote(verdict.why, verdict.numbers)
    if verdict.decision == "roll back":
        releases.end(release.id, release.version, "rolled_back", verdict.why, numbers=verdict.numbers)
    return releases.latest_of(release.version) or release
