"""How long a process is inside llama.cpp: every function of the bindings wrapped with a clock."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_MODULES = {"llama_cpp.llama_cpp": "llama_", "llama_cpp.mtmd_cpp": "mtmd_"}


@dataclass
class NativeTime:
    """Seconds inside native calls, and the number of calls."""

    seconds: float = 0.0
    calls: int = 0

    def install(self) -> NativeTime:
        """Wrap the bindings of this process; there is no way back. Call it before a model is
        opened, since pointers to unwrapped functions may be kept."""
        for module_name, prefix in _MODULES.items():
            module = importlib.import_module(module_name)
            for name, value in list(vars(module).items()):
                foreign = hasattr(value, "argtypes") and not isinstance(value, type)
                if name.startswith(prefix) and foreign:
                    setattr(module, name, self._timed(value))
        return self

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        clock = time.perf_counter

        def timed(*arguments: Any, **named: Any) -> Any:
            started = clock()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += clock() - started
                self.calls += 1

        return timed
