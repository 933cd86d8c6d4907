"""Mappings: which column of a file feeds which field of the contract, and how its text is read."""

from plumbline.data.mapping.load import contract_mapping, load_mapping, open_file
from plumbline.data.mapping.model import Mapping
from plumbline.data.mapping.rows import RowMapper

__all__ = ["Mapping", "RowMapper", "contract_mapping", "load_mapping", "open_file"]
