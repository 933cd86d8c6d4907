"""The one settings model. Nothing else in Plumbline reads the environment.

Every field can be set by an environment variable: ``PLUMBLINE_`` + the group + ``__`` + the field, as in
``PLUMBLINE_SERVING__PORT=8100``; or by a YAML file named in ``PLUMBLINE_CONFIG``. The environment wins.
"""

from plumbline.settings._load import Settings, config_path, load_settings

__all__ = ["Settings", "config_path", "load_settings"]
