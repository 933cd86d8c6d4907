"""Object stores: a folder on this machine, or any S3 endpoint, behind one small protocol."""

from plumbline.storage.object_store import ObjectStore, open_store

__all__ = ["ObjectStore", "open_store"]
