"""The result of a demo run: `report.json` with every figure, `report.html` for people."""

from plumbline.demo.report.page import write_report

__all__ = ["write_report"]
