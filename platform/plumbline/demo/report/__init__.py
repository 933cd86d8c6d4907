"""The result of a demo run: `report.json` with every figure, `report.html` as one self-contained page."""

from plumbline.demo.report.page import write_report

__all__ = ["write_report"]
