"""The Python API: what the commands do, as functions (layer above the commands).

    from idealprompt_cli import adapt, load_task, measure, open_model, predict, save

Paths may be text. Errors are those of `errors.py`. Nothing is printed; in a notebook the results
show themselves (see `notebook`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .core.committee import Asked
from .core.errors import TaskError
from .core.prompt import Prompt
from .core.task import Example, Split, Task

if TYPE_CHECKING:
    from .artifact import Artifact
    from .core.interfaces import Engine, Observer
    from .core.results import Prefer
    from .engines.options import WeightsChoice
    from .reflection.loop import Review
    from .ui.notebook import Adapted, Answers, Measured

Place = str | Path
Which = Literal["winner", "baseline", "committee", "recommended"]


def load_task(folder: Place, *, metric: str = "") -> Task:
    """The task in a folder, with `metric` in place of its own, if given."""
    from . import metrics
    from .task import load_task as load_folder

    task = load_folder(Path(folder), metric=metric)
    metrics.for_task(task, metric)
    return task


@contextmanager
def open_model(
    model: Place | None = None,
    mmproj: Place | None = None,
    *,
    threads: int = 0,
    gpu_layers: int = -1,
    n_ctx: int = 0,
    engine: str = "",
    server: str = "",
    server_model: str = "",
    allow_network: bool = False,
    weights: WeightsChoice = "auto",
    run_dir: Place | None = None,
) -> Iterator[Engine]:
    """A model for a `with` block: the named files or `server` (an address on this machine, unless
    `allow_network`), else IDEALPROMPT_SERVER or IDEALPROMPT_MODEL and IDEALPROMPT_MMPROJ, else the
    embedded demonstration model. `threads` and `n_ctx` 0 mean a default; `gpu_layers` -1 means all
    that the build can put on a GPU. `engine` names what runs the model, built in or a plugin's; ""
    takes the one that suits the model's files. `weights` are "file", "bf16" or "auto", as for
    `--weights`; `run_dir` is the folder of a run that is to be resumed, with the weights that it
    computes with."""
    from .runs.models import ModelChoice, opened, weights_of_run

    choice = ModelChoice(
        model=Path(model) if model else None,
        mmproj=Path(mmproj) if mmproj else None,
        threads=threads,
        gpu_layers=gpu_layers,
        n_ctx=n_ctx,
        engine=engine,
        server=server,
        server_model=server_model,
        allow_network=allow_network,
        weights=weights,
    )
    recorded = weights_of_run(Path(run_dir)) if run_dir else None
    with opened(choice, lambda text: None, recorded=recorded) as opened_engine:
        yield opened_engine


def adapt(
    task: Task,
    model: Engine,
    *,
    budget: str = "",
    seed: int = 0,
    strategies: Sequence[str] = (),
    policy: str = "puct",
    prefer: Prefer = "score",
    committee: int | None = None,
    proposer: str = "none",
    reflect: bool = False,
    priors: bool = True,
    cache: bool = True,
    held_out_test: bool = True,
    train: int = 0,
    test: int = 0,
    run_dir: Place | None = None,
    resume: bool = False,
    observer: Observer | None = None,
) -> Adapted:
    """Search for a better prompt and compare it with the task's question on the held-out part.

    Arguments and defaults are those of `idealprompt search`: `budget` is "300", "10m" or "200ktok"
    (default 40 evaluations per training example); `committee` is the largest number of prompts that
    may answer together (0: none, None: one where the task allows it); `reflect` adds reflection;
    `priors` and `cache` use and update the user's priors and response cache. With `run_dir` the run
    is kept there and can be resumed. The observer gets the events of `core.events`.
    """
    from .runs.config import RunConfig
    from .runs.run import run_search
    from .ui.notebook import adapted

    config = RunConfig(
        stages="search and reflection" if reflect else "search",
        budget=budget,
        seed=seed,
        strategies=tuple(strategies),
        policy=policy,
        prefer=prefer,
        committee=committee,
        proposer=proposer,
        priors=priors,
        cache=cache,
        held_out_test=held_out_test,
        train=train,
        test=test,
        run_dir=Path(run_dir) if run_dir else None,
        resume=resume,
    )
    config.check()
    return adapted(run_search(task, model, config, observer).artifact)


def reflect(
    artifact: Artifact,
    task: Task,
    model: Engine,
    *,
    use: Which = "recommended",
    budget: str = "",
    seed: int | None = None,
    proposer: str = "none",
    priors: bool = True,
    cache: bool = True,
    held_out_test: bool = True,
    train: int = 0,
    test: int = 0,
    run_dir: Place | None = None,
    resume: bool = False,
    review: Review | None = None,
    observer: Observer | None = None,
) -> Adapted:
    """Reflect on an artifact's prompt: edit it where it goes wrong, as `idealprompt reflect` does.

    `budget` defaults to 20 evaluations per training example, `seed` to the artifact's. `review` is
    asked about each accepted edit: it gets the trial and the prompt before it, and returns the
    prompt to continue with, or None to refuse the edit.
    """
    from .runs.config import RunConfig
    from .runs.run import run_reflection
    from .ui.notebook import adapted

    config = RunConfig(
        stages="reflection",
        budget=budget,
        seed=artifact.seed if seed is None else seed,
        proposer=proposer,
        priors=priors,
        cache=cache,
        held_out_test=held_out_test,
        train=train,
        test=test,
        run_dir=Path(run_dir) if run_dir else None,
        resume=resume,
    )
    config.check()
    prompt = artifact.single(use)
    made = run_reflection(task, model, config, artifact, prompt, observer, review)
    return adapted(made.artifact)


def measure(
    prompt: Artifact | Prompt,
    task: Task,
    model: Engine,
    *,
    split: Split = "test",
    use: Which = "recommended",
) -> Measured:
    """The metric's value with its interval and every outcome, on one part of a task."""
    from . import metrics
    from .evaluation.evaluator import Evaluator
    from .evaluation.metered_engine import MeteredEngine
    from .ui.notebook import measured

    examples = {"train": task.train, "validation": task.validation, "test": task.test}[split]
    if not examples:
        raise TaskError(f"{task.root}: has no {split} part")
    evaluator = Evaluator(MeteredEngine(model), task, metrics.get(task.metric))
    return measured(evaluator.evaluate(_asked(prompt, use), examples))


def predict(
    artifact: Artifact,
    images: Iterable[Place | Sequence[Place]],
    model: Engine,
    *,
    use: Which = "recommended",
) -> Answers:
    """Answers for new pictures (or groups of pictures that belong together), in order.
    `predicted` is the label, `probabilities` are over all labels. Raises `ImageError`."""
    from .evaluation.evaluator import predict as ask
    from .ui.notebook import Answers

    examples = []
    for entry in images:
        group = (entry,) if isinstance(entry, (str, Path)) else tuple(entry)
        paths = tuple(Path(path) for path in group)
        examples.append(Example(";".join(map(str, paths)), paths, "", "python"))
    task = artifact.task
    asked = artifact.asked(use)
    return Answers(ask(model, asked, artifact.labels, examples, task.answer, task.answer_schema))


def load(source: Place) -> Adapted:
    """The artifact in a YAML file. Raises `ArtifactError`."""
    from .artifact import read_artifact
    from .ui.notebook import adapted

    return adapted(read_artifact(str(source)))


def show(result: Artifact, format: str = "table", *, width: int = 100) -> str:  # noqa: A002
    """A result as text: `format` is a name of `--format`, built in or a plugin's."""
    from .ui import formats

    return formats.get(format).run(result, "", formats.Screen(width))


def convert(artifact: Artifact, to: str, *, use: Which = "recommended") -> str:
    """The prompt in the format of another tool: `to` is a name of `export --to`, or a plugin's."""
    from . import exports

    return exports.rendered(exports.get(to), artifact, artifact.asked(use))


def save(artifact: Artifact, target: Place, *, force: bool = False) -> None:
    """Write an artifact as YAML. Raises `ArtifactError` where another file is there, unless
    `force`."""
    from .artifact import dump
    from .storage.written_files import Target, is_artifact

    fix = "name another file, or pass force=True to replace it"
    file = Target(str(target), "a prompt that search wrote", is_artifact, force, fix)
    file.write(dump(artifact))


def _asked(source: Artifact | Prompt, use: Which) -> Asked:
    return source if isinstance(source, Prompt) else source.asked(use)
