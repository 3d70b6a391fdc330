"""A box as a process: `idealprompt fleet serve`, and boxes that a coordinator starts here."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ...core.errors import ModelError, ServerError, UsageError
from ...core.interfaces import Notice
from ...io.folders import user_cache_dir, user_data_dir
from ...storage.response_cache import default_path, open_cache
from ..network import TlsFiles, checked_address, need_distributed
from .box import Box
from .comm import BoxAddress, serve, without_pickle
from .members import Member
from .privacy import Policy, Releases

if TYPE_CHECKING:
    from ...core.interfaces import Engine
    from ...core.task import Task

TOKEN = "IDEALPROMPT_FLEET_TOKEN"
PARENT = "IDEALPROMPT_FLEET_PARENT"
"""Set where a coordinator started the box: it ends with the coordinator."""
STATE = "IDEALPROMPT_FLEET"
"""The folder of the accounts of releases."""
FILE = "releases.jsonl"
Started = tuple[subprocess.Popen[str], IO[str]]
"""A box's process and what it says on stderr."""


def state_file(task: Task) -> Path:
    """The account of a task folder's releases. It belongs to the folder, not to its content:
    examples that are added do not make the earlier releases undone."""
    given = os.environ.get(STATE)
    folder = Path(given) if given else user_data_dir() / "fleet"
    name = hashlib.sha256(str(task.root.resolve()).encode()).hexdigest()[:16]
    return folder / name / FILE


def listening_address(text: str, tls: TlsFiles, allow_network: bool) -> str:
    """The address to listen at. Raises `UsageError` where it could be reached from other machines
    without TLS or without `--allow-network`."""
    need_distributed("fleet serve")
    tls.check()
    return checked_address("--listen", text, tls, allow_network)


def serve_box(
    task: Task,
    engine: Engine,
    policy: Policy,
    address: str,
    tls: TlsFiles,
    announce: Callable[[str, str], None],
    say: Notice,
) -> None:
    """Answer questions until the process is ended. `announce` gets the address and the token, ""
    with TLS, whose certificates are stronger."""
    token = "" if tls else os.environ.get(TOKEN, "") or secrets.token_urlsafe(24)
    info = engine.info()
    path = state_file(task)
    build = info.details.get("llama_cpp_python", "")
    data = _data_name(path, f"{task.fingerprint} {info.fingerprint} {info.quantisation} {build}")
    releases = Releases.open(path, policy, data)
    with contextlib.ExitStack() as stack:
        cache = open_cache(default_path(user_cache_dir()), info, say)
        if cache is not None:
            stack.enter_context(cache)
        box = Box(task, engine, policy, releases, cache)
        stack.enter_context(without_pickle())
        if os.environ.get(PARENT):
            threading.Thread(target=_end_with_parent, daemon=True).start()
        asyncio.run(_serve(address, box, tls, token, announce))


async def _serve(
    address: str, box: Box, tls: TlsFiles, token: str, announce: Callable[[str, str], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, ValueError):  # not on Windows
            loop.add_signal_handler(number, stop.set)
    try:
        await serve(address, box.ask, tls, token, lambda url: announce(url, token), stop)
    except OSError as error:
        raise ServerError(
            f"--listen {address}: cannot be used ({error.strerror or error})"
        ) from None


def _data_name(path: Path, content: str) -> str:
    """A name that changes with the examples and the model, and says nothing else about them: it is
    keyed with a secret of this box."""
    secret = path.with_name("secret")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    return hashlib.blake2b(
        content.encode(), key=secret.read_bytes()[:64], digest_size=8
    ).hexdigest()


def _end_with_parent() -> None:
    """End this process when its standard input is closed."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdin.read()
    os._exit(0)


# --- boxes that the coordinator starts here -------------------------------------------------------


@contextmanager
def local_boxes(
    members: Sequence[Member], policy: Policy, model_words: Sequence[str], say: Notice
) -> Iterator[list[BoxAddress]]:
    """A process for each member with a folder, ended with the block. Raises `ModelError` where one
    does not start."""
    with contextlib.ExitStack() as stack:
        started = [
            (one, stack.enter_context(_process(one, policy, model_words))) for one in members
        ]
        found = []
        for member, running in started:
            url, token = _announced(member, running)
            found.append(BoxAddress(member.name, url, token))
        if found:
            count = "1 box runs" if len(found) == 1 else f"{len(found)} boxes run"
            say(f"{count} as processes on this machine ({policy.statement()}).")
        yield found


@contextmanager
def _process(member: Member, policy: Policy, model_words: Sequence[str]) -> Iterator[Started]:
    words = [sys.executable, "-m", "idealprompt_cli", "fleet", "serve", member.task, "--json",
             "--listen", "tcp://127.0.0.1:0", "--min-group", str(policy.min_group),
             "--epsilon", repr(policy.epsilon), "--delta", repr(policy.delta),
             "--prompts", str(policy.prompts), *model_words]  # fmt: skip
    if policy.drafts is not None:
        words.append("--drafts" if policy.drafts else "--no-drafts")
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            env={**os.environ, PARENT: "1"},
            start_new_session=True,  # Ctrl-C is the coordinator's
        )
        try:
            yield process, messages
        finally:
            process.kill()
            process.communicate()


def _announced(member: Member, started: Started) -> tuple[str, str]:
    """Address and token that a box printed."""
    process, messages = started
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        found = json.loads(line)
        return str(found["address"]), str(found["token"])
    except (ValueError, KeyError, TypeError):
        process.wait()
        messages.seek(0)
        lines = [one for one in messages.read().splitlines() if one.strip()]
        why = lines[-1].removeprefix("error: ") if lines else "it ended without a word"
        raise ModelError(f"box {member.name} does not start: {why}") from None


def remote_address(member: Member, tls: TlsFiles, allow_network: bool) -> BoxAddress:
    """Where a member listens. Raises like `network.checked_address`."""
    url = checked_address(f"box {member.name}:", member.address, tls, allow_network)
    if not tls and not member.token:
        raise UsageError(f"box {member.name}: without TLS it needs the token that it printed")
    return BoxAddress(member.name, url, member.token)
