"""The runs of this package: what the commands and the Python API both call.

A run gets a task, an open model and a `RunConfig`. It opens what it needs (a second model, the
shared response cache, the journal), runs its stages, adds its lessons to the priors and reads the
held-out part. The observer hears of everything.
"""

from __future__ import annotations

import io
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import metrics, strategies
from ..artifact import from_run
from ..core.committee import prompts_of
from ..core.errors import JournalError, ModelError, PriorsError, UsageError
from ..core.events import (
    Announced,
    HeldOutFinished,
    HeldOutProgress,
    HeldOutStarted,
    SilentObserver,
)
from ..core.interfaces import Embeds
from ..evaluation.context import RunContext, open_context
from ..evaluation.evaluator import Evaluator
from ..evaluation.held_out import held_out_test
from ..evaluation.latency import with_latency
from ..evaluation.metered_engine import MeteredEngine
from ..io.files import PRIVATE, read_text, write_bytes
from ..io.folders import user_cache_dir
from ..priors import Beliefs, Usual, beliefs_for, learn
from ..prompts.serialisation import fingerprint
from ..reflection import Diagnosis, Settings, Start, diagnose, from_prompt, reflect
from ..reflection.selection import usual_value
from ..search.policies import POLICIES, BestFirst
from ..search.resuming import starting_beliefs
from ..search.tree_search import SearchSettings, search
from ..storage.journal import Journal, header_for
from ..storage.records import PriorsUpdated, Setting
from ..storage.response_cache import default_path, open_cache
from .alternating import alternate
from .config import RunConfig
from .folder import BLANK, check_fresh, keep
from .proposer import affordable_proposer, with_proposer

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..core.interfaces import Engine, Notice, Observer, Strategy
    from ..core.prompt import Prompt
    from ..core.requests import ModelInfo
    from ..core.results import RunResult
    from ..core.task import Task
    from ..reflection.loop import Review
    from ..storage.response_cache import ResponseCache
    from .proposer import Maker


RUN = "name in the priors"
"""The journal's setting by which the priors know a run."""


@dataclass(frozen=True)
class Run:
    """A finished run; `kept` is the artifact's file in the run's folder, if it has one."""

    result: RunResult
    artifact: Artifact
    kept: Path | None = None


def run_search(
    task: Task, model: Engine, config: RunConfig, observer: Observer | None = None
) -> Run:
    """Search for a better prompt, and reflect in between where `config.stages` says so.

    Raises the errors of `core.errors`: UsageError for a config that cannot be run, JournalError for
    a run folder that cannot be used, Interrupted on Ctrl-C.
    """
    with _opened(task, model, config, observer) as (context, proposer, cache):
        task = context.task
        context.journal.agree(
            "stages", config.stages, f"{'omit' if _reflects(config) else 'add'} --reflect"
        )
        settings = SearchSettings(
            strategies.select(config.strategies, task.answer),
            POLICIES[config.policy],
            beliefs_of(config, context.task, context.engine.info()),
            proposer,
            config.prefer,
            config.committee,
        )
        if _reflects(config):
            with _reflection_settings(config) as reflection:
                result = alternate(context, settings, reflection)
        else:
            result = search(context, settings)
        return _finished(context, config, cache, result)


def run_reflection(
    task: Task,
    model: Engine,
    config: RunConfig,
    artifact: Artifact,
    prompt: Prompt,
    observer: Observer | None = None,
    review: Review | None = None,
) -> Run:
    """Reflect on a prompt of an artifact. A `review` is asked about each accepted edit. Raises like
    `run_search`."""
    start = from_prompt(artifact.baseline_prompt, prompt)
    with _opened(task, model, config, observer, start) as (context, proposer, cache):
        judge, fix = ("a person", "omit") if review else ("nobody", "add")
        context.journal.agree("review", judge, f"{fix} --interactive")
        with _reflection_settings(config) as settings:
            settings = replace(
                settings,
                review=review,
                beliefs=starting_beliefs(
                    context.journal, beliefs_of(config, context.task, context.engine.info())
                ),
                proposer=affordable_proposer(proposer, context.engine),
            )
            result = reflect(context, start, settings)
        return _finished(context, config, cache, result, artifact)


def run_diagnosis(
    task: Task,
    model: Engine,
    config: RunConfig,
    start: Start,
    observer: Observer | None = None,
) -> Diagnosis:
    """What goes wrong with a prompt, and which edits would be tried; nothing is kept."""
    bare = replace(config, run_dir=None, resume=False, cache=False)
    with (
        _opened(task, model, bare, observer) as (context, proposer, _),
        _reflection_settings(bare) as settings,
    ):
        writer = affordable_proposer(proposer, context.engine)
        return diagnose(context, start, replace(settings, proposer=writer))


# --- opening --------------------------------------------------------------------------------------


@contextmanager
def _opened(
    task: Task,
    model: Engine,
    config: RunConfig,
    observer: Observer | None,
    start: Start | None = None,
) -> Iterator[tuple[RunContext, Maker, ResponseCache | None]]:
    """The run's context, what makes its proposer, and the response cache; closed at the end."""
    listener = observer or SilentObserver()

    def say(text: str) -> None:
        listener.notify(Announced(text))

    task = config.prepared(task, say)
    with ExitStack() as stack:
        engine, proposer = stack.enter_context(
            with_proposer(config.proposer, model, config.model, say)
        )
        cache = _open_cache(engine, config, say)
        if cache is not None:
            stack.enter_context(cache)
        journal = stack.enter_context(_open_journal(task, engine, config, start, say))
        context = open_context(
            task,
            engine,
            metrics.get(task.metric),
            config.budget_for(task),
            journal=journal,
            cache=cache,
            observer=listener,
            seed=config.seed,
        )
        journal.agree("proposer", config.proposer, "use the same --proposer")
        yield context, proposer, cache


def _open_cache(engine: Engine, config: RunConfig, say: Notice) -> ResponseCache | None:
    """The answers that runs on this engine share; None where they are switched off or cannot be
    kept. A chat template in place of the model's own is part of their identity."""
    if not config.cache:
        return None
    template = config.model.chat_template
    text = read_text(template, ModelError) if template else ""
    return open_cache(default_path(user_cache_dir()), engine.info(), say, text)


def _open_journal(
    task: Task, engine: Engine, config: RunConfig, start: Start | None, say: Notice
) -> Journal:
    if config.run_dir is None:
        if config.resume:
            raise UsageError("resuming needs the run's folder: give run_dir")
        return Journal.memory()
    prompt = fingerprint(start.prompt) if start else ""
    header = header_for(task, engine.info(), config.seed, prompt)
    if config.resume:
        return Journal.resume(config.run_dir, header, say)
    check_fresh(config.run_dir)
    return Journal.create(config.run_dir, header)


@contextmanager
def _reflection_settings(config: RunConfig) -> Iterator[Settings]:
    """Probing questions and a grey picture, which is in the run's folder or in a temporary one."""
    with ExitStack() as stack:
        folder = config.run_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield reflection_settings(folder)


def reflection_settings(folder: Path) -> Settings:
    """What reflection may use beside the model; the picture without content is in `folder`."""
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (224, 224), (128, 128, 128)).save(data, "PNG")
    write_bytes(folder / BLANK, data.getvalue(), JournalError, PRIVATE)
    return Settings(blank=folder / BLANK)


def beliefs_of(config: RunConfig, task: Task, model: ModelInfo) -> Beliefs:
    """What the user's memory says for this run; nothing with `priors` off."""
    if not config.priors:
        return Beliefs()
    return beliefs_for(task, model, usual_shares(strategies.select(config.strategies, task.answer)))


def usual_shares(pool: Sequence[Strategy]) -> Usual:
    """What is believed of the strategies of a pool, and of reflection's edits, without a memory."""
    shares = {one.name: BestFirst().usual(place) for place, one in enumerate(pool)}
    return lambda name: shares.get(name, usual_value(name))


def _reflects(config: RunConfig) -> bool:
    return config.stages == "search and reflection"


# --- ending ---------------------------------------------------------------------------------------


def _finished(
    context: RunContext,
    config: RunConfig,
    cache: ResponseCache | None,
    result: RunResult,
    before: Artifact | None = None,
) -> Run:
    """Learn from the run, read the held-out part and keep the artifact. `before` is the artifact
    whose trail the run continues."""
    if config.priors:
        _update_priors(context, result)
    with tempfile.TemporaryDirectory() as folder:
        result = with_latency(result, context.engine.inner, Path(folder))
    if config.held_out_test:
        result = _tested(context, cache, result, config.linear_probe)
    artifact = from_run(result)
    if before is not None:
        artifact = continued(before, artifact)
    kept = keep(config.run_dir, artifact, result) if config.run_dir else None
    return Run(result, artifact, kept)


def _update_priors(context: RunContext, result: RunResult) -> None:
    """Add a run's lessons to the user's priors, once, however often it is resumed; priors that
    cannot be written are no reason to lose the run."""
    journal = context.journal
    if journal.records(PriorsUpdated):
        return
    kept = (one.value for one in journal.records(Setting) if one.name == RUN)
    run = next(kept, "")
    if not run:  # named before the priors are changed: a kill between the two changes nothing
        run = secrets.token_hex(6)
        journal.append([Setting(RUN, run)])
    try:
        count = learn(result, run)
    except PriorsError as error:
        context.notify(Announced(f"the priors are not updated: {error}"))
        return
    journal.append([PriorsUpdated(count)])


def _tested(
    context: RunContext, cache: ResponseCache | None, result: RunResult, probe: bool
) -> RunResult:
    """Both prompts on the held-out part, outside the budget, and a linear probe beside them where
    the engine has embeddings."""
    inner = context.engine.inner
    embeds = inner if probe and isinstance(inner, Embeds) else None
    engine = MeteredEngine(context.engine.inner, context.journal, cache=cache)
    evaluator = Evaluator(engine, context.task, context.evaluator.metric)
    count = len(context.task.test)
    if not count:
        return held_out_test(result, evaluator, embeds)
    asked = {result.baseline, result.winner}
    if result.committee is not None:
        asked |= set(prompts_of(result.committee.committee))
    context.notify(HeldOutStarted(count, count * len(asked)))
    engine.on_answers = lambda answers: context.notify(HeldOutProgress(answers))
    try:
        return held_out_test(result, evaluator, embeds)
    finally:
        context.notify(HeldOutFinished())


def continued(before: Artifact, made: Artifact) -> Artifact:
    """An artifact whose trail continues the one that the run started from."""
    steps = tuple(step for step in made.trail if step.strategy not in ("seed", "given"))
    trail = (*before.trail, *steps) if before.trail else made.trail
    return replace(made, trail=trail)
