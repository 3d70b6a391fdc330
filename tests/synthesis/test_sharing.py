"""Siblings of a tree share their path in the engine's prefix cache."""

from __future__ import annotations

import pytest

from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import open_text
from idealprompt_cli.runs.models import embedded_model
from idealprompt_cli.synthesis.requests import question_request

STARTS = ("What is", "How does", "Why do", "Which")


@pytest.mark.model
def test_a_path_is_computed_once() -> None:
    model = embedded_model()
    assert model is not None
    paths = (("Mugs", "Red mugs with stripes"), ("Lamps", "Blue lamps"))
    with open_text(ModelRef(model.text), EngineOptions(threads=1, tune="off"), print) as engine:
        computed = []
        for rounds in (STARTS[:2], STARTS[2:]):
            answers = engine.generate([question_request(p, s) for s in rounds for p in paths])
            assert len(answers) == 4
            computed.append(engine.stats()["prefixes_computed"])
    assert computed[0] == computed[1], "later siblings need no prefix of their own"
