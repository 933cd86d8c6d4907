"""Run by test_parity in another time zone: materialises, compares, and reads a row of an hour that the clock skips."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from posting_stream import make_postings

from plumbline.features.materialize import materialize
from plumbline.features.online import OnlineFeatureReader
from plumbline.features.parity import check_parity
from plumbline.settings import load_settings


def main() -> None:
    settings = load_settings(home=Path(sys.argv[1]))
    skipped = datetime(2024, 3, 31, tzinfo=UTC)
    materialize(settings, skipped)
    asked = {
        "event_timestamp": skipped + timedelta(minutes=1),
        "company": None,
        "board": "board1",
        "title": "Cook",
        "description": "Cooks",
    }
    [vector] = OnlineFeatureReader(settings).read([asked])
    share = check_parity(settings, make_postings(), pairs=200).share
    json.dump({"share": share, "age_seconds": vector.age_seconds.get("board_activity")}, sys.stdout)


if __name__ == "__main__":
    main()
