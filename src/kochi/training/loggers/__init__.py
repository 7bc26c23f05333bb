"""Tracking services that curves are sent to, in addition to the files that every run writes."""

from kochi.components import Slot
from kochi.training.loggers.base import RunLogger
from kochi.training.loggers.mlflow import MLflow
from kochi.training.loggers.wandb import WeightsAndBiases

LOGGERS = Slot("logger", RunLogger, {"wandb": WeightsAndBiases, "mlflow": MLflow})

__all__ = ["LOGGERS", "RunLogger"]
