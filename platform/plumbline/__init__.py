"""The ground of Plumbline: settings, errors, storage, data, features, model, registry, controller, commands."""

__version__ = "0.1.0"
