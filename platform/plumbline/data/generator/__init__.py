"""Built-in generator: a seeded, streaming supply of realistic postings at any size, without a network."""

from plumbline.data.generator.raw import raw_rows
from plumbline.data.generator.stream import generate
from plumbline.data.generator.vocabulary import class_names
from plumbline.settings.data import GeneratorConfig

__all__ = ["GeneratorConfig", "class_names", "generate", "raw_rows"]
