"""What kind of server answers at an address, and which model it has loaded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from ...core.errors import ModelError, ServerError
from ...core.requests import ModelInfo
from ..llama_cpp.native.gguf_header import fingerprint, read_header, size_class
from .connection import Connection

Kind = Literal["llama-server", "ollama", "vllm", "openai"]
_NO_SUCH = (200, 400, 404, 405, 501)
"""Statuses of a path that a server does not know; 200 comes with a web page."""


@dataclass(frozen=True)
class Server:
    """A server and one of its models. `vision` is None where the server does not report it;
    `slots` counts the requests that it processes in parallel; `props` are its reported properties;
    `routed` is the model name that requests must carry where a server has several."""

    kind: Kind
    url: str
    model: str
    version: str = ""
    n_ctx: int = 0
    slots: int = 4
    vision: bool | None = None
    architecture: str = ""
    quantisation: str = ""
    n_params: int = 0
    identity: str = ""
    routed: str = ""
    props: dict[str, Any] = field(default_factory=dict)

    def info(self, mode: str) -> ModelInfo:
        """The result of `Engine.info`. `path` is the server's address."""
        size = size_class(self.n_params) if self.n_params else "unknown"
        text = json.dumps([self.kind, self.model, self.identity])
        vision = {True: "yes", False: "no", None: "unknown"}[self.vision]
        return ModelInfo(
            engine="http",
            name=self.model,
            fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
            architecture=self.architecture,
            family=f"{self.architecture or self.model}-{size}",
            quantisation=self.quantisation,
            n_ctx=self.n_ctx,
            path=self.url,
            mode=mode,
            details={
                "server": f"{self.kind} {self.version}".strip(),
                "parameters": str(self.n_params or ""),
                "images": vision,
                "side_by_side": str(self.slots),
                "template": _digest_of(str(self.props.get("chat_template") or "")),
            },
        )


def identify(connection: Connection, wanted: str) -> Server:
    """The server at the other end, with the model `name` ("" for its only one).

    Raises `ServerError` if it is no inference server or has no such model.
    """
    props = _props(connection, wanted)
    if props.get("role") == "router":  # a llama-server that loads models on request
        wanted = _chosen(connection, _models(connection), wanted)
        props = _props(connection, wanted)
    if "default_generation_settings" in props:
        return _llama_server(connection, props, wanted)
    models = _models(connection)
    if "version" in _ask(connection, "/api/version"):
        return _ollama(connection, _chosen(connection, models, wanted))
    model = _chosen(connection, models, wanted)
    entry = next((entry for entry in models if entry.get("id") == model), {})
    vllm = entry.get("owned_by") == "vllm"
    return Server(
        kind="vllm" if vllm else "openai",
        url=connection.endpoint.url,
        model=model,
        version=str(_ask(connection, "/version").get("version", "")) if vllm else "",
        n_ctx=int(entry.get("max_model_len") or 0),
        slots=8 if vllm else 2,
        identity=str(entry.get("root") or ""),
    )


def _props(connection: Connection, model: str) -> dict[str, Any]:
    return _ask(connection, f"/props?model={quote(model)}" if model else "/props")


def _ask(connection: Connection, path: str) -> dict[str, Any]:
    """The JSON object at a path; empty where the server does not know the path."""
    try:
        found = connection.get(path)
    except ServerError as error:
        if error.status not in _NO_SUCH:
            raise
        return {}
    return found if isinstance(found, dict) else {}


def _models(connection: Connection) -> list[dict[str, Any]]:
    found = _ask(connection, "/v1/models").get("data")
    if not isinstance(found, list):
        raise ServerError(
            f"{connection.endpoint.url}: not an inference server (it has no /v1/models): check "
            "--server"
        )
    return [entry for entry in found if isinstance(entry, dict) and entry.get("id")]


def _chosen(connection: Connection, models: list[dict[str, Any]], wanted: str) -> str:
    """The model to use. Raises `ServerError` naming those that there are."""
    names = [str(entry["id"]) for entry in models]
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    if not names:
        raise ServerError(
            f"{connection.endpoint.url}: the server has no model loaded: load one first"
        )
    if wanted:
        for name in (wanted, f"{wanted}:latest"):
            if name in names:
                return name
        raise ServerError(
            f"{connection.endpoint.url}: no model {wanted!r}: --server-model can be {shown}"
        )
    if len(names) > 1:
        raise ServerError(
            f"{connection.endpoint.url}: has several models: choose one of {shown} with "
            "--server-model"
        )
    return names[0]


def _llama_server(connection: Connection, props: dict[str, Any], wanted: str) -> Server:
    entries = _ask(connection, "/v1/models").get("data") or [{}]
    entry = next((one for one in entries if one.get("id") == wanted), entries[0])
    meta = entry.get("meta") or {}
    path = str(props.get("model_path") or "")
    architecture, name, weights = _header_of(Path(path)) if path else ("", "", "")
    shown = Path(str(entry.get("id") or props.get("model_alias") or path)).name
    if name and shown == Path(path).name:  # the server was started without an alias
        shown = name
    facts = [meta.get(key) for key in ("n_params", "size", "n_vocab", "n_embd")]
    settings = props["default_generation_settings"]
    return Server(
        kind="llama-server",
        url=connection.endpoint.url,
        model=wanted or shown,
        version=str(props.get("build_info") or ""),
        n_ctx=int(settings.get("n_ctx") or 0),
        slots=max(1, int(props.get("total_slots") or 1)),
        vision=bool((props.get("modalities") or {}).get("vision")),
        architecture=architecture,
        quantisation=str(props.get("model_ftype") or meta.get("ftype") or ""),
        n_params=int(meta.get("n_params") or 0),
        identity=weights or json.dumps(facts),
        routed=wanted,
        props=props,
    )


def _header_of(path: Path) -> tuple[str, str, str]:
    """Architecture, name and fingerprint of the server's own file, where it can be read from
    here."""
    try:
        header = read_header(path, "text model")
        return header.architecture, str(header.meta.get("general.name") or ""), fingerprint(path)
    except (ModelError, OSError):
        return "", "", ""


def _ollama(connection: Connection, model: str) -> Server:
    shown = connection.post("/api/show", {"model": model})
    facts, details = shown.get("model_info") or {}, shown.get("details") or {}
    architecture = str(facts.get("general.architecture") or details.get("family") or "")
    abilities = shown.get("capabilities")
    return Server(
        kind="ollama",
        url=connection.endpoint.url,
        model=model,
        version=str(_ask(connection, "/api/version").get("version", "")),
        slots=2,  # its context size is set at run time and not reported
        vision=None if abilities is None else "vision" in abilities,
        architecture=architecture,
        quantisation=str(details.get("quantization_level") or ""),
        n_params=int(facts.get("general.parameter_count") or 0),
        identity=_digest(connection, model),
    )


def _digest_of(text: str) -> str:
    """A short digest of the chat template, "" for none."""
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text else ""


def _digest(connection: Connection, model: str) -> str:
    """Ollama's hash of a model's content."""
    entries = _ask(connection, "/api/tags").get("models") or []
    return next((str(e.get("digest", "")) for e in entries if e.get("name") == model), "")
