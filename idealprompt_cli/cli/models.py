"""The options that choose a model and how it is run; `runs.models` opens what they name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..engines.options import WeightsChoice
from ..runs.models import ModelChoice
from . import completion

Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        metavar="GGUF",
        help="Text model: a file, smollm2 (the extra of that name), or hf:owner/repo[:file] to "
        "download. "
        "Default: IDEALPROMPT_MODEL, the task's model, the embedded one.",
    ),
]
Mmproj = Annotated[
    Path | None,
    typer.Option(
        "--mmproj",
        metavar="GGUF",
        help="Its vision projector. Default: IDEALPROMPT_MMPROJ, or the one beside the model.",
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", show_default=False, help="CPU threads. Default: the physical cores."
    ),
]
GpuLayers = Annotated[
    int,
    typer.Option(
        min=-1,
        metavar="N",
        show_default=False,
        help="Layers on the GPU, 0 for none. Default: all, where the build has a GPU.",
    ),
]
NCtx = Annotated[
    int,
    typer.Option(
        "--n-ctx",
        min=0,
        metavar="N",
        show_default=False,
        help="Context in tokens. Default: as needed.",
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        show_default=False,
        help="Memory for the model and what it keeps, such as 2GiB. Default: half of what is free.",
    ),
]
ImageMinTokens = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", show_default=False, help="Least tokens of an image. Default: its own."
    ),
]
ImageMaxTokens = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        show_default=False,
        help="Most tokens of an image, for models that take any resolution. "
        "Default: at most half of the context.",
    ),
]
Weights = Annotated[
    WeightsChoice,
    typer.Option(
        help="Compute with the model's file as it is, or with a copy in bfloat16 that is kept in "
        "the cache: several times as fast on some CPUs. auto takes what the prompt or the run to "
        "resume was measured with, else it measures once which is faster.",
    ),
]
ChatTemplate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A Jinja chat template in place of the model's own."),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        show_default=False,
        help="What runs the model: " + completion.listed("engines") + ". Default: by its files.",
        autocompletion=completion.engines,
    ),
]
Server = Annotated[
    str,
    typer.Option(
        metavar="URL",
        help="Ask a server on this machine instead: llama-server, Ollama, vLLM. "
        "Default: IDEALPROMPT_SERVER.",
    ),
]
ServerModel = Annotated[
    str, typer.Option(metavar="NAME", help="Which of the server's models. Default: its only one.")
]
ServerTimeout = Annotated[
    float,
    typer.Option(min=1, metavar="SECONDS", help="How long the server may take for an answer."),
]
AllowNetwork = Annotated[
    bool, typer.Option("--allow-network", help="The server may be another machine.")
]


@dataclass(frozen=True)
class ModelFlags(ModelChoice):
    """The options that choose a model, as a group (see `shared_options.grouped`)."""

    model: Model = None
    mmproj: Mmproj = None
    threads: Threads = 0
    gpu_layers: GpuLayers = -1
    n_ctx: NCtx = 0
    image_min_tokens: ImageMinTokens = 0
    image_max_tokens: ImageMaxTokens = 0
    memory: Memory = ""
    weights: Weights = "auto"
    chat_template: ChatTemplate = None
    engine: EngineName = ""
    server: Server = ""
    server_model: ServerModel = ""
    server_timeout: ServerTimeout = 300.0
    allow_network: AllowNetwork = False
