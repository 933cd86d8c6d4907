"""Alerts on the controller's loop."""

from __future__ import annotations

from monitoring.rules.model import Alert, Group
from monitoring.rules.parameters import RETRAINING_LIMIT

_STATES = "plumbline_controller_retrainings"


def loop_groups() -> list[Group]:
    """Failed, stuck and waiting retrainings."""
    return [Group("plumbline-loop", [_FAILED, _STUCK, _APPROVAL])]


_FAILED = Alert(
    "ControllerRetrainingFailed",
    # The count is kept by state and falls never, but it moves to another series when the pod is replaced.
    f'max by (namespace) ({_STATES}{{state="failed"}})\n'
    f'- min by (namespace) (min_over_time({_STATES}{{state="failed"}}[6h])) > 0',
    "0m",
    "critical",
    "{{ $value }} retrainings have failed within six hours.",
    "The champion is kept, and what moved has no answer. `plumbline controller status` shows the error and its log; "
    "after the repair: plumbline controller retry ID --reason ...",
)

_STUCK = Alert(
    "ControllerRetrainingStuck",
    "time() - (max by (namespace) (plumbline_controller_retraining_started_timestamp_seconds) > 0)\n"
    f"> on (namespace) {RETRAINING_LIMIT}",
    "5m",
    "warning",
    "A retraining has been running for {{ $value | humanizeDuration }}.",
    "It gets on, or it would have been ended (controller.training_patience_seconds). Look at its node and its Job; "
    "further alerts wait behind it. To end it: plumbline controller cancel ID --reason ...",
)

_APPROVAL = Alert(
    "ControllerAwaitsApproval",
    f'max by (namespace) ({_STATES}{{state="awaiting_approval"}}) > 0',
    "4h",
    "info",
    "A model that the gate agrees to, or wants a person to look at, waits.",
    "Read its card, then: plumbline controller approve ID, or plumbline controller reject ID --reason ...",
)
