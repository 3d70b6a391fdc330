"""Which addresses are used, and which options go together. Opens no socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealprompt_cli.core.errors import IdealPromptError, ServerError, UsageError
from idealprompt_cli.fleet.cluster.choice import ClusterChoice
from idealprompt_cli.fleet.network import TlsFiles, checked_address

from ..conftest import call

PEM = TlsFiles(Path("ca.pem"), Path("cert.pem"), Path("key.pem"))


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "127.0.0.1"])
def test_a_loopback_address_needs_no_flag(text: str) -> None:
    assert checked_address("--cluster", text, TlsFiles(), False) == "tcp://127.0.0.1:8786"


def test_another_machine_needs_the_flag() -> None:
    with pytest.raises(ServerError, match="add --allow-network"):
        checked_address("--cluster", "tls://192.0.2.1:8786", PEM, False)


def test_another_machine_without_tls_is_refused() -> None:
    with pytest.raises(UsageError, match="would not be encrypted"):
        checked_address("--cluster", "tcp://192.0.2.1:8786", TlsFiles(), True)


def test_another_machine_with_both() -> None:
    found = checked_address("--cluster", "tcp://192.0.2.1:99", PEM, True)
    assert found == "tls://192.0.2.1:99"


@pytest.mark.parametrize("text", ["http://127.0.0.1", "tcp://", "tcp://a:b", "tcp://127.0.0.1/x"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        checked_address("--cluster", text, TlsFiles(), False)


def test_tls_without_files_is_refused() -> None:
    with pytest.raises(UsageError, match="give --tls-ca"):
        checked_address("--cluster", "tls://127.0.0.1", TlsFiles(), False)


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        (ClusterChoice("tcp://127.0.0.1", 2), "exclude each other"),
        (ClusterChoice(send_pictures=True), "--send-pictures: is for a cluster"),
        (ClusterChoice(tls=PEM), "--tls-ca: is for a cluster"),
        (ClusterChoice(local_workers=65), "at most 64"),
        (ClusterChoice("tcp://127.0.0.1", tls=TlsFiles(Path("ca.pem"))), "give --tls-cert too"),
        (ClusterChoice("tcp://127.0.0.1", tls=PEM), "--tls-ca ca.pem: no such file"),
    ],
)
def test_options_that_do_not_go_together(choice: ClusterChoice, problem: str) -> None:
    with pytest.raises(IdealPromptError, match=problem):
        choice.check()


def test_no_cluster_is_asked_for() -> None:
    choice = ClusterChoice()
    choice.check()
    assert not choice


def test_the_command_refuses_before_the_model_is_opened(folder: Path) -> None:
    result = call("search", folder, "-m", "missing.gguf", "--cluster", "http://x")
    assert result.exit_code == 2
    assert "--cluster" in result.stderr


def test_a_server_has_no_workers(folder: Path) -> None:
    pytest.importorskip("distributed")
    result = call("search", folder, "--server", "http://127.0.0.1:1", "--local-workers", 2)
    assert result.exit_code == 2
    assert "--local-workers: workers open the model themselves" in result.stderr
