"""Named drift scenarios: seeded changes of any stream of postings from a true change point on.

Scenarios change frames that have been through the contract, generated or real, and what they yield keeps to
the contract too: a drift that breaks it would be stopped at the door and never reach a model.
"""

from plumbline.data.scenarios.apply import SCENARIOS, apply_scenario, scenario
from plumbline.data.scenarios.base import Scenario

__all__ = ["SCENARIOS", "Scenario", "apply_scenario", "scenario"]
