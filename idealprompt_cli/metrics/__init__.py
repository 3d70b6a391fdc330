"""The metrics, by the name that `task.yaml` uses. A new one: one file here and one line below.

Beside them a user's own: `module:function`, or an entry point of the group `idealprompt.metrics`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from ..core.answer_schema import AnswerKind
from ..core.errors import UsageError
from ..core.interfaces import Metric
from ..core.nearest import did_you_mean
from ..core.task import Task
from ..io.plugins import plugin_names
from .accuracy import Accuracy
from .balanced_accuracy import BalancedAccuracy
from .bleu import Bleu
from .edit_distance import CER, WER, Anls
from .exact_match import ExactMatch
from .iou import Iou, at_threshold
from .json_fields import JsonFields
from .macro_f1 import MacroF1
from .multilabel_f1 import MultilabelF1
from .normalised_match import NormalisedMatch
from .numeric import Numeric
from .own import named
from .rouge_l import RougeL
from .vqa_accuracy import VqaAccuracy

METRICS: Mapping[str, Metric] = {
    "accuracy": Accuracy(),
    "balanced_accuracy": BalancedAccuracy(),
    "macro_f1": MacroF1(),
    "multilabel_f1": MultilabelF1(),
    "exact_match": ExactMatch(),
    "normalised_match": NormalisedMatch(),
    "vqa_accuracy": VqaAccuracy(),
    "anls": Anls(),
    "1-cer": CER,
    "1-wer": WER,
    "numeric": Numeric(),
    "json_fields": JsonFields(),
    "iou": Iou(),
    "iou@0.5": at_threshold("0.5"),
    "bleu": Bleu(),
    "rouge_l": RougeL(),
}
_LOWER_IS_BETTER = {"cer": "1-cer", "wer": "1-wer"}


def get(name: str, *, trusted: bool = True) -> Metric:
    """The metric of that name.

    Only a `trusted` name may be code (see `own`). Raises UsageError: for an unknown name with
    the nearest one, and where a package is missing with how to get it.
    """
    if name in METRICS:
        return _usable(METRICS[name])
    if name in _LOWER_IS_BETTER:
        raise UsageError(f"metric {name!r} is an error rate; take {_LOWER_IS_BETTER[name]}")
    if name.startswith("numeric:"):
        return Numeric().within(name.removeprefix("numeric:"))
    if name.startswith("iou@"):
        return at_threshold(name.removeprefix("iou@"))
    found = named(name, trusted=trusted)
    if found is None:
        known = [*METRICS, *plugin_names("metrics")]
        raise UsageError(f"unknown metric {name!r}: {did_you_mean(name, known)}")
    return found


def for_task(task: Task, given: str = "") -> Metric:
    """The metric that `given` names, or the task. Raises UsageError also where it does not suit the
    task's answers."""
    metric = get(given or task.metric, trusted=bool(given))
    if not _suits(metric, task.answer):
        fit = [name for name, one in METRICS.items() if _suits(one, task.answer)]
        raise UsageError(
            f"metric {metric.name} does not go with answer: {task.answer} of {task.root}: take "
            f"{', '.join(fit)}"
        )
    return metric


def _suits(metric: Metric, answer: AnswerKind) -> bool:
    kinds: tuple[AnswerKind, ...] = getattr(metric, "kinds", ())
    return not kinds or answer in kinds


def _usable(metric: Metric) -> Metric:
    package, extra = getattr(metric, "needs", ("", ""))
    if package and importlib.util.find_spec(package) is None:
        raise UsageError(
            f"metric {metric.name} needs a package that is not installed: "
            f"pip install 'idealprompt[{extra}]'"
        )
    return metric
