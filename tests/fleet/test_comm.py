"""A box as a process behind a real socket: who may ask, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idealprompt_cli.core.errors import ServerError
from idealprompt_cli.fleet.federation.comm import BoxAddress, Link, Lost, serve, without_pickle
from idealprompt_cli.fleet.network import TlsFiles

from ..conftest import SCRIPT, MakeTask, call

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")
ROOT = Path(__file__).parent.parent.parent


class Served:
    """A function behind a socket on the loopback interface, in a thread."""

    def __init__(self, tls: TlsFiles, token: str) -> None:
        self.url, self._ready = "", threading.Event()
        self.loop = asyncio.new_event_loop()
        self._tls, self._token = tls, token
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._ready.wait(30)

    def _run(self) -> None:
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self.stop = asyncio.Event()
        scheme = "tls" if self._tls else "tcp"

        def started(url: str) -> None:
            self.url = url
            self._ready.set()

        await serve(
            f"{scheme}://127.0.0.1:0", bytes.upper, self._tls, self._token, started, self.stop
        )

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10)


@pytest.fixture
def served() -> Iterator[Served]:
    with without_pickle():
        found = Served(TlsFiles(), "secret")
        yield found
        found.close()


def ask(url: str, token: str, tls: TlsFiles | None = None, patience: float = 3.0) -> bytes:
    async def once() -> bytes:
        link = Link(BoxAddress("box", url, token), tls or TlsFiles(), patience)
        try:
            return await link.ask(b"question")
        finally:
            link.close()

    return asyncio.run(once())


def test_a_question_is_answered(served: Served) -> None:
    assert ask(served.url, "secret") == b"QUESTION"


def test_another_token_is_refused(served: Served) -> None:
    with pytest.raises(Lost, match="the token is not this box's"):
        ask(served.url, "guess")


def test_nobody_there() -> None:
    with pytest.raises(Lost, match="cannot be reached"):
        ask("tcp://127.0.0.1:1", "secret", patience=0.1)


class Code:
    """Unpickled, it leaves a file."""

    path = ""

    def __reduce__(self) -> Any:
        return (os.mkdir, (Code.path,))


def test_code_in_a_message_is_not_run(served: Served, tmp_path: Path) -> None:
    from distributed.comm import connect
    from distributed.protocol import to_serialize
    from distributed.protocol.serialize import ToPickle

    Code.path = str(tmp_path / "pwned")

    async def attack(message: Any) -> Any:
        comm = await connect(served.url)
        try:
            await comm.write(message)
            return await comm.read()
        except OSError:
            return None
        finally:
            comm.abort()

    for wrapped in (ToPickle, to_serialize):
        message = {"token": "secret", "data": wrapped(Code())}
        assert asyncio.run(attack(message)) in (None, {"refused": "the token is not this box's"})
    assert not (tmp_path / "pwned").exists()
    assert ask(served.url, "secret") == b"QUESTION"


def test_unpickling_is_off() -> None:
    from distributed.protocol import pickle

    data = pickle.dumps({})
    with without_pickle(), pytest.raises(ServerError, match="code was refused"):
        pickle.loads(data)
    assert pickle.loads(data) == {}


# --- TLS ------------------------------------------------------------------------------------------


def certificates(folder: Path, name: str) -> TlsFiles:
    """A certificate that is its own authority."""
    x509 = pytest.importorskip("cryptography.x509")
    from datetime import datetime, timedelta, timezone

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return TlsFiles(cert, cert, private)


def test_with_tls_only_the_own_authority_may_ask(tmp_path: Path) -> None:
    own, other = certificates(tmp_path, "own"), certificates(tmp_path, "other")
    with without_pickle():
        served = Served(own, "")
        try:
            assert served.url.startswith("tls://")
            assert ask(served.url, "", own) == b"QUESTION"
            for tls in (other, TlsFiles()):
                url = served.url if tls else served.url.replace("tls", "tcp")
                with pytest.raises(Lost):
                    ask(url, "", tls, patience=0.5)
        finally:
            served.close()


# --- the commands ---------------------------------------------------------------------------------


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "idealprompt_cli", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]),
             "IDEALPROMPT_FLEET": str(cwd / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )  # fmt: skip


def test_the_command_finds_a_prompt_for_all_boxes(make_task: MakeTask, tmp_path: Path) -> None:
    """Three processes with a folder each; a second run releases nothing twice."""
    for name in ("north", "south"):
        make_task(per_label=12, name=name)
    members = "".join(f"  - {{name: {n}, task: {n}}}\n" for n in ("north", "south"))
    (tmp_path / "fleet.yaml").write_text(f"members:\n{members}", encoding="utf-8")
    words = ("fleet", "search", "--members", "fleet.yaml", "-m", SCRIPT, "--budget", "60",
             "--no-priors", "--json")  # fmt: skip
    done = run(*words, "--run-dir", "first", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [box["name"] for box in found["boxes"]] == ["north", "south"]
    assert "2 boxes run as processes on this machine" in done.stderr
    releases = sorted((tmp_path / "state").rglob("releases.jsonl"))
    assert len(releases) == 2
    before = [path.read_text(encoding="utf-8") for path in releases]
    again = run(*words, "--run-dir", "second", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["prompt"] == found["prompt"]
    for path, text in zip(releases, before, strict=True):
        now = path.read_text(encoding="utf-8")
        assert now.startswith(text)
        rows = [json.loads(line) for line in now.splitlines()]
        asked = [(row["split"], row["prompt"], row["group"]) for row in rows]
        assert len(asked) == len(set(asked))


def test_a_members_file_with_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text, problem in (
        ("members: []\n", "members"),
        ("members:\n  - {name: a}\n", "give its address, or its task folder"),
        ("members:\n  - {name: a, task: x}\n  - {name: a, task: y}\n", "a name of its own"),
        ("members:\n  - {name: a, address: 'tcp://127.0.0.1:9'}\n", "needs the token"),
        ("members:\n  - {name: a, address: 'tcp://192.0.2.1:9'}\n", "is another machine"),
        ("members:\n  - {name: a, task: x}\nmin_group: 1\n", "--min-group 1"),
        ("boxes: 1\n", "unknown key"),
    ):
        (tmp_path / "fleet.yaml").write_text(text, encoding="utf-8")
        done = call("fleet", "search", "--members", "fleet.yaml")
        assert done.exit_code in (1, 2), done.stderr
        assert problem in done.stderr, done.stderr
