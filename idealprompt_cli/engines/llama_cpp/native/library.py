"""The native library: loading it without output, the text model, and the count of native work.

Everything that touches a pointer of llama.cpp is in this folder. The library prints on stderr
unless all three log callbacks are set and kept alive.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.errors import ModelError
from ....io.terminal import one_line

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
_ERROR_LEVEL = 4  # ggml.h: NONE 0, DEBUG 1, INFO 2, WARN 3, ERROR 4, CONT 5
_errors: deque[str] = deque(maxlen=20)
_keep_alive: list[Any] = []
_lock = threading.Lock()
_BUFFER_BYTES = 64 << 20
"""Of the converter, which would take a gigabyte for a large matrix."""
abort_with_line = True
"""False before the library is loaded: a failed assertion ends the process by SIGABRT."""


@dataclass
class Clock:
    """Seconds spent in native calls and counts of what they computed, for reports and estimates.

    Used as a context manager around native calls; nested blocks count once.
    """

    native_seconds: float = 0.0
    encode_seconds: float = 0.0
    prefix_seconds: float = 0.0
    decodes: int = 0
    tokens: int = 0
    padding: int = 0
    image_tokens: int = 0
    images_encoded: int = 0
    prefixes_computed: int = 0
    prefixes_restored: int = 0
    prefixes_from_disk: int = 0
    _depth: int = 0
    _started: float = 0.0

    def __enter__(self) -> Clock:
        if not self._depth:
            self._started = time.perf_counter()
        self._depth += 1
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self.native_seconds += time.perf_counter() - self._started


@dataclass(frozen=True)
class Library:
    """The two binding modules: `llama` (text) and `mtmd` (pictures)."""

    llama: Any
    mtmd: Any


@lru_cache(maxsize=1)
def library() -> Library:
    """Import the bindings (0.3 s), redirect their log, initialise the backend. Once per process."""
    with _lock:
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # else an abort starts a debugger
        try:
            llama = importlib.import_module("llama_cpp.llama_cpp")
            mtmd = importlib.import_module("llama_cpp.mtmd_cpp")
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            raise ModelError(
                f"llama.cpp cannot be loaded ({error}); reinstall the package llama-cpp-python"
            ) from error
        callback = llama.llama_log_callback(_on_log)
        _keep_alive.append(callback)
        nothing = ctypes.c_void_p(0)
        llama.llama_log_set(callback, nothing)
        mtmd.mtmd_log_set(callback, nothing)
        mtmd.mtmd_helper_log_set(callback, nothing)
        _state_aborts(llama)
        llama.llama_backend_init()
        return Library(llama, mtmd)


def _state_aborts(llama: Any) -> None:
    """Have a failed assertion of the library end the process with a line and exit code 1, where the
    library allows that; it would print a place in its source and dump core."""
    setter = getattr(getattr(llama, "_lib", None), "ggml_set_abort_callback", None)
    if setter is None or not abort_with_line:
        return
    kind = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
    callback = kind(_on_abort)
    setter.argtypes, setter.restype = [kind], ctypes.c_void_p
    setter(callback)
    _keep_alive.append(callback)


def _on_abort(message: bytes | None) -> None:
    why = one_line((message or b"").decode("utf-8", "replace").rpartition("/")[2])
    text = (
        f"error: llama.cpp gave up ({why}): there is too little memory, or the model file is "
        "damaged; what a run has computed is kept, and --resume continues it\n"
    )
    with contextlib.suppress(OSError):
        os.write(2, text.encode())
    os._exit(1)


def _on_log(level: int, text: bytes, _user: object) -> None:
    if level == _ERROR_LEVEL and text:
        line = text.decode("utf-8", "replace").strip()
        if line:
            _errors.append(line)


def forget_errors() -> None:
    """Drop the native error lines recorded so far."""
    _errors.clear()


def last_error() -> str:
    """The first two distinct native error lines since `forget_errors`, as one line."""
    lines = [line for line in _errors if "hint" not in line.lower()]
    return "; ".join(list(dict.fromkeys(lines))[:2])


def native_detail() -> str:
    """` (llama.cpp says: ...)` or nothing, to end an error message with."""
    error = " ".join(last_error().split())
    return f" (llama.cpp says: {error})" if error else ""


def version() -> str:
    """The version of the bindings, which pins the llama.cpp inside."""
    return str(importlib.import_module("llama_cpp").__version__)


def build() -> str:
    """The version of the bindings and 8 hex digits for how this build computes (instruction sets,
    devices): two builds of one version may differ in the last bits."""
    system: bytes = library().llama.llama_print_system_info()
    return f"{version()}-{hashlib.sha256(system).hexdigest()[:8]}"


def multiplies_bfloat16() -> bool:
    """Whether this build and CPU have instructions for products of bfloat16."""
    system: bytes = library().llama.llama_print_system_info()
    return b"AVX512_BF16 = 1" in system or b"AMX_BF16 = 1" in system


def write_bfloat16(source: Path, out: Path, threads: int) -> None:
    """Write a GGUF file again with its matrices in bfloat16. Raises `ModelError`."""
    llama = library().llama
    params = llama.llama_model_quantize_default_params()
    params.nthread = threads
    params.ftype = llama.LLAMA_FTYPE_MOSTLY_BF16
    params.allow_requantize = True
    params.max_buf_size = _BUFFER_BYTES
    forget_errors()
    if llama.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)):
        raise ModelError(
            f"{source}: no bfloat16 copy can be made{native_detail()}; make room on the disk"
        )


class TextModel:
    """Owner of a `llama_model`. Raises `ModelError` when the file cannot be loaded."""

    def __init__(
        self, path: Path, gpu_layers: int, use_extra_bufts: bool, clock: Clock | None = None
    ) -> None:
        self.lib, self.clock = library(), clock or Clock()
        llama = self.lib.llama
        params = llama.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.use_extra_bufts = use_extra_bufts
        forget_errors()
        with self.clock:
            self.pointer: Any = llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            raise ModelError(f"{path}: the text model cannot be loaded{native_detail()}")
        self.vocab: Any = llama.llama_model_get_vocab(self.pointer)
        self.n_vocab: int = llama.llama_vocab_n_tokens(self.vocab)
        self.n_embd_inp: int = llama.llama_model_n_embd_inp(self.pointer)
        self.n_ctx_train: int = llama.llama_model_n_ctx_train(self.pointer)
        self.recurrent = bool(
            llama.llama_model_is_recurrent(self.pointer)
            or llama.llama_model_is_hybrid(self.pointer)
        )
        self.one_cache = not self.recurrent and llama.llama_model_n_swa(self.pointer) <= 0

    def meta(self, key: str) -> str | None:
        """A metadata value as text, or None."""
        size = 1 << 16
        while True:
            buffer = ctypes.create_string_buffer(size)
            n: int = self.lib.llama.llama_model_meta_val_str(
                self.pointer, key.encode(), buffer, size
            )
            if n < 0:
                return None
            if n < size:
                return buffer.value.decode("utf-8", "replace")
            size = n + 1

    def n_params(self) -> int:
        return int(self.lib.llama.llama_model_n_params(self.pointer))

    def description(self) -> str:
        buffer = ctypes.create_string_buffer(256)
        self.lib.llama.llama_model_desc(self.pointer, buffer, 256)
        return buffer.value.decode("utf-8", "replace")

    def kv_bytes_per_token(self) -> int:
        """F16 keys and values of all layers for one position; an upper bound, for budgeting."""
        llama = self.lib.llama
        heads: int = max(1, llama.llama_model_n_head(self.pointer))
        kv_heads: int = llama.llama_model_n_head_kv(self.pointer) or heads
        layers: int = llama.llama_model_n_layer(self.pointer)
        width: int = llama.llama_model_n_embd(self.pointer)
        arch = self.meta("general.architecture") or ""
        head_size = int(self.meta(f"{arch}.attention.key_length") or width // heads)
        return layers * 2 * kv_heads * head_size * 2

    def quantisation(self) -> str:
        """The file's quantisation as llama.cpp names it ("Q8_0")."""
        return _format_name(self.lib.llama.llama_model_ftype(self.pointer)) or self.description()

    def close(self) -> None:
        if self.pointer:
            self.lib.llama.llama_model_free(self.pointer)
            self.pointer = None


def format_of(file_type: object) -> str:
    """The name of a header's `general.file_type` ("Q8_0"), "" where it says nothing."""
    return _format_name(file_type) if isinstance(file_type, int) else ""


def _format_name(file_type: int) -> str:
    name = library().llama.llama_ftype_name(file_type)
    return name.decode().removeprefix("mostly ").removeprefix("all ") if name else ""
