"""What features belong to."""

from __future__ import annotations

from feast import Entity, ValueType

COMPANY = Entity(
    name="company",
    join_keys=["company"],
    value_type=ValueType.STRING,
    description="Employer, as named in the posting; a posting without one has the key '', which has no rows.",
)

BOARD = Entity(
    name="board",
    join_keys=["board"],
    value_type=ValueType.STRING,
    description="Where postings are published.",
)
