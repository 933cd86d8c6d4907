"""Feature services: the named, versioned sets of features that models use."""

from __future__ import annotations

from feast import FeatureService, FeatureView

from feature_repo.on_demand import posting_request_features

POSTING_CLASSIFIER_V1 = "posting_classifier_v1"


def posting_classifier_v1(views: list[FeatureView]) -> FeatureService:
    """All batch views and the request-time view. A change of its features is a new service, with the next number."""
    return FeatureService(
        name=POSTING_CLASSIFIER_V1,
        features=[*views, posting_request_features],
        description="Features of the posting classifier.",
    )
