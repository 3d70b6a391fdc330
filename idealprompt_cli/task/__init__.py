"""A task folder -> `Task` (`load`), and other people's data -> a task folder (`importers`)."""

from .load import load_task
from .settings import read_settings

__all__ = ["load_task", "read_settings"]
