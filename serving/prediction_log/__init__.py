"""The prediction log: every answer, written before it is sent, shipped to the object store, read back once."""

from serving.prediction_log.reading import read
from serving.prediction_log.record import PredictionRecord
from serving.prediction_log.shipping import ship
from serving.prediction_log.spool import SpoolWriter

__all__ = ["PredictionRecord", "SpoolWriter", "read", "ship"]
