"""Built-in generator: a seeded, streaming supply of realistic postings at any size, without a network."""

from plumbline.data.generator.raw import raw_rows
from plumbline.data.generator.stream import generate
from plumbline.settings.data import GeneratorConfig

__all__ = ["GeneratorConfig", "generate", "raw_rows"]
