"""Names that the registry gives: aliases of the registered model, and tags of its versions."""

from __future__ import annotations

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
CANARY = "canary"
SHADOW = "shadow"

TAG_DIGEST = "plumbline.digest"
TAG_VERDICT = "plumbline.gate.verdict"
TAG_PROMOTED_AT = "plumbline.promoted_at"
TAG_ROLLED_BACK_AT = "plumbline.rolled_back_at"
TAG_REJECTED_AT = "plumbline.rejected_at"
TAG_AS_OF = "plumbline.as_of"
TAG_SNAPSHOT = "plumbline.snapshot"
TAG_FEATURE_DEFINITION = "plumbline.features.definition"
TAG_PARITY = "plumbline.parity"
"""The record of parity that the gate has read, JSON."""
