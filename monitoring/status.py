"""What `plumbline status` says of the monitors."""

from __future__ import annotations

from collections.abc import Iterator

from monitoring.results import ResultStore
from monitoring.sending import outbox
from plumbline.settings import Settings

_LOOKED_AT = 50


def status(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Part, state and detail: the newest window of each model, and what of their alerts nobody has heard.

    Raises:
        DependencyError: There is a bucket, and it did not answer.
    """
    newest = {str(result["model"]): result for result in ResultStore(settings).latest(_LOOKED_AT)}
    if not newest:
        yield "monitors", "none", "No monitor has run: `plumbline monitor run --last 14d` judges the last two weeks."
    for model, result in newest.items():
        breached = ", ".join(test["name"] for test in result["tests"] if test["breached"])
        window = result.get("window") or {"start": "", "end": ""}
        about = f"version {result['model_version']}, {window['start'][:10]} to {window['end'][:10]}"
        found = breached or result.get("reason") or "nothing moved"
        yield f"monitor {model}", result["status"], f"{about}, judged {result['finished_at'][:19]}: {found}"
    receivers = ", ".join(receiver.url for receiver in settings.monitoring.receivers)
    waiting = len(outbox(settings).waiting())
    if waiting:
        yield "alert receivers", f"{waiting} alerts wait", f"{receivers or 'Their receiver'} did not take them."
    elif receivers:
        yield "alert receivers", "all told", receivers
    else:
        yield "alert receivers", "off", "monitoring.receivers names nobody: monitors write their alerts down only."
