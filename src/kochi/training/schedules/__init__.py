"""Learning-rate schedules: the fraction of the peak at each step. One file per schedule."""

from kochi.components import Slot
from kochi.training.schedules.base import Course, Schedule
from kochi.training.schedules.constant import Constant
from kochi.training.schedules.cosine import Cosine
from kochi.training.schedules.inverse_sqrt import InverseSqrt
from kochi.training.schedules.plateau import Plateau

SCHEDULES = Slot(
    "schedule",
    Schedule,
    {"inverse_sqrt": InverseSqrt, "cosine": Cosine, "plateau": Plateau, "constant": Constant},
)

__all__ = ["SCHEDULES", "Course", "Schedule"]
