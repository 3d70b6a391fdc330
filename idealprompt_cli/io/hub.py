"""`hf:owner/repo[:file]`: a model's files from the Hugging Face hub (extra `hub`).

The only place that downloads anything, and only what is named so on the command line or in the
environment. Files go into the hub's own cache and are taken from there without a network when they
are there; everything that the hub's library knows (HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE)
holds. Knows nothing of engines.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import ModelError, UsageError
from ..core.interfaces import Notice

PREFIX = "hf:"
FORM = "hf:owner/repo, hf:owner/repo:file.gguf or hf:owner/repo:Q8_0"
SECONDS_BETWEEN_LINES = 10.0
_PATTERN = re.compile(
    r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<file>[^@]+))?(?:@(?P<revision>[\w./-]+))?\Z"
)
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf\Z")


@dataclass(frozen=True)
class HubRef:
    """A repository, a file in it (or a part of its name, such as Q8_0; "" for the only one), and a
    revision."""

    repo: str
    file: str = ""
    revision: str = "main"


def is_reference(name: str | Path) -> bool:
    """Whether a model is named by its place on the hub."""
    return str(name).startswith(PREFIX)


def parse(name: str | Path) -> HubRef:
    """The parts of a reference. Raises `UsageError`."""
    text = name.as_posix() if isinstance(name, Path) else name
    found = _PATTERN.match(text)
    if not found:
        raise UsageError(f"{text}: should be {FORM}")
    return HubRef(found["repo"], found["file"] or "", found["revision"] or "main")


def fetch(name: str | Path, say: Notice) -> Path:
    """The text model of a reference, downloaded if it is not in the hub's cache. Raises
    `ModelError`, or `UsageError` where the reference fits no file or several."""
    ref = parse(name)
    return _fetched(ref, _chosen(ref, projector=False), say)


def fetch_projector(name: str | Path, say: Notice) -> Path:
    """The vision projector of a reference: the file that it names, or the one of its repository."""
    ref = parse(name)
    wanted = ref if "mmproj" in ref.file.lower() else HubRef(ref.repo, "", ref.revision)
    return _fetched(wanted, _chosen(wanted, projector=True), say)


def projector_of(name: str | Path, say: Notice) -> Path | None:
    """The vision projector of a reference's repository, None for a repository without one."""
    ref = parse(name)
    wanted = HubRef(ref.repo, "", ref.revision)
    if not any("mmproj" in file.lower() for file in _listed(wanted)):
        return None
    return _fetched(wanted, _chosen(wanted, projector=True), say)


# --- which file -----------------------------------------------------------------------------------


def _chosen(ref: HubRef, *, projector: bool) -> str:
    """The one file that a reference means."""
    if ref.file.lower().endswith(".gguf"):
        return ref.file
    names = [name for name in _listed(ref) if ("mmproj" in name.lower()) == projector]
    fitting = [name for name in names if ref.file.lower() in name.lower()]
    if len(fitting) == 1:
        if _PART.search(fitting[0]):
            raise UsageError(f"hf:{ref.repo}: {fitting[0]} is in parts, which is not supported")
        return fitting[0]
    what = "vision projectors (*mmproj*.gguf)" if projector else "GGUF models"
    if not names:
        raise UsageError(f"hf:{ref.repo}: holds no {what}: name another repository")
    fix = f"name one, such as hf:{ref.repo}:{names[0]}"
    if projector:
        fix = f"name one with --mmproj hf:{ref.repo}:{names[0]}"
    count = "none" if not fitting else str(len(fitting))
    fits = f" fit {ref.file!r}" if ref.file else ""
    raise UsageError(f"hf:{ref.repo}: {count} of its {len(names)} {what}{fits}: {fix}")


def _listed(ref: HubRef) -> Sequence[str]:
    """GGUF files of a repository: by the hub, or where it cannot be asked, those in the cache."""
    library = _library()
    try:
        names = library.HfApi().list_repo_files(ref.repo, revision=ref.revision)
    except Exception as problem:
        names = _cached(library, ref)
        if not names:
            raise _failure(ref, "", problem) from problem
    return sorted(name for name in names if name.lower().endswith(".gguf"))


def _cached(library: Any, ref: HubRef) -> list[str]:
    """Files of a repository that are in the hub's cache."""
    try:
        folder = library.snapshot_download(
            ref.repo, revision=ref.revision, local_files_only=True, allow_patterns=[]
        )
    except Exception:
        return []
    root = Path(folder)
    return [path.relative_to(root).as_posix() for path in root.rglob("*.gguf")]


# --- getting it -----------------------------------------------------------------------------------


def _fetched(ref: HubRef, file: str, say: Notice) -> Path:
    library = _library()
    known = library.try_to_load_from_cache(ref.repo, file, revision=ref.revision)
    if isinstance(known, str):
        return Path(known)
    say(f"Downloading {file} of {ref.repo} from the hub into its cache.")
    try:
        place = library.hf_hub_download(
            ref.repo, file, revision=ref.revision, tqdm_class=_progress(say)
        )
    except KeyboardInterrupt:
        say("Stopped. The downloaded part is kept; run the same command again to resume.")
        raise
    except Exception as problem:
        raise _failure(ref, file, problem) from problem
    say(f"Downloaded to {place}")
    return Path(place)


def _progress(say: Notice) -> type:
    """The hub's own bar on a terminal; elsewhere a line every few seconds."""
    from huggingface_hub.utils import tqdm

    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        own: type = tqdm
        return own

    class Lines(tqdm):  # type: ignore[misc]
        """The same interface, in lines. The bar itself writes to nowhere."""

        def __init__(self, *args: Any, **options: Any) -> None:
            self._nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - closed in `close`
            self._last = time.monotonic()
            super().__init__(*args, **{**options, "file": self._nowhere})

        def update(self, count: float | None = 1) -> bool | None:
            shown: bool | None = super().update(count)
            now = time.monotonic()
            if now - self._last >= SECONDS_BETWEEN_LINES and self.total:
                self._last = now
                done, total = self.n / 2**20, self.total / 2**20
                say(f"  {done:.0f} of {total:.0f} MiB ({100 * done / total:.0f} %)")
            return shown

        def close(self) -> None:
            super().close()
            self._nowhere.close()

    return Lines


def _library() -> Any:
    """huggingface_hub. Raises `UsageError` with the fix if it is missing."""
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError(
            "hf: names need a package that is not installed: pip install 'idealprompt[hub]', or "
            "download the files yourself"
        ) from None
    return huggingface_hub


def _failure(ref: HubRef, file: str, problem: Exception) -> ModelError:
    """The error of the hub in one line, with the fix."""
    kind = type(problem).__name__
    where = f"hf:{ref.repo}{f':{file}' if file else ''}"
    fixes = {
        "GatedRepoError": "is behind a gate: accept its terms on the hub and set HF_TOKEN",
        "RepositoryNotFoundError": "no such repository, or it is private: check the name",
        "RevisionNotFoundError": f"has no revision {ref.revision}: check what follows the @",
        "EntryNotFoundError": "no such file in the repository: check the name",
        "RemoteEntryNotFoundError": "no such file in the repository: check the name",
        "LocalEntryNotFoundError": "is not in the hub's cache, and the hub cannot be reached",
        "OfflineModeIsEnabled": "is not in the hub's cache, and HF_HUB_OFFLINE is set",
    }
    text = " ".join(str(problem).split())[:160]
    return ModelError(f"{where}: {fixes.get(kind, f'cannot be downloaded ({kind}: {text})')}")
