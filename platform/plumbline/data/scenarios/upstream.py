"""Scenarios in which an upstream changes what it delivers, and says nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from plumbline.data.scenarios.base import Mask, Scenario

_EMPLOYMENT = {"full_time": "other", "part_time": "contract", "temporary": "other", "contract": "temporary"}
_SENIORITY = {"intern": "junior", "junior": "mid", "mid": "senior", "senior": "lead", "lead": "executive"}
_MONTHS = 12.0
_MINOR_UNITS = 100.0
_MOST = 1e9
_NULLED = ("company", "employment_type", "seniority", "category")


class _Renamed:
    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, frame: pd.DataFrame, moved: Mask) -> pd.DataFrame:
        for name, codes in (("employment_type", _EMPLOYMENT), ("seniority", _SENIORITY)):
            frame.loc[moved, name] = [codes.get(value, value) for value in frame.loc[moved, name]]
        frame.loc[moved, "category"] = [
            None if value is None else f"CAT/{value.upper()[:200]}" for value in frame.loc[moved, "category"]
        ]
        # Upper case may be longer than the text (ß) and must not outgrow the contract.
        frame.loc[moved, "title"] = [title.upper()[:512] for title in frame.loc[moved, "title"]]
        return frame


class _WrongUnit:
    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, frame: pd.DataFrame, moved: Mask) -> pd.DataFrame:
        factor = np.where((frame["period"] == "month").to_numpy(), _MONTHS, _MINOR_UNITS)
        for name in ("salary_min", "salary_max"):
            values = frame[name].to_numpy(dtype=np.float64)
            frame[name] = np.where(moved, np.minimum(values * factor, _MOST), values)
        return frame


class _Nulled:
    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, frame: pd.DataFrame, moved: Mask) -> pd.DataFrame:
        for name in _NULLED:
            frame[name] = frame[name].astype(object).where(~moved, None)
        return frame


SCHEMA_CHANGE = Scenario(
    name="schema_change",
    description="Upstream renames its codes: employment types and seniorities arrive under other values, "
    "categories with a prefix in capitals, titles in capitals.",
    kind="sudden",
    columns=("employment_type", "seniority", "category", "title"),
    share=1.0,
    start=_Renamed,
)
SALARY_UNIT_ERROR = Scenario(
    name="salary_unit_error",
    description="Salaries arrive in another unit under the old period: yearly sums as monthly ones, "
    "and others in hundredths.",
    kind="sudden",
    columns=("salary_min", "salary_max"),
    share=1.0,
    start=_WrongUnit,
)
SILENT_NULL = Scenario(
    name="silent_null",
    description="Company, employment type, seniority and category stop coming; the rows are valid without them.",
    kind="sudden",
    columns=_NULLED,
    share=0.9,
    start=_Nulled,
)
