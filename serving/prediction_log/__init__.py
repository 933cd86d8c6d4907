"""The prediction log: every answer, written before it is sent, shipped to the object store, read back once."""

from serving.prediction_log.log import PredictionLog, open_log
from serving.prediction_log.reading import read, read_left_out
from serving.prediction_log.record import PredictionRecord
from serving.prediction_log.shipping import ship

__all__ = ["PredictionLog", "PredictionRecord", "open_log", "read", "read_left_out", "ship"]
