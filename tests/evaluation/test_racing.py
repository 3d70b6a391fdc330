"""Racing: who is dropped, who fails, what is asked."""

from __future__ import annotations

from benchmarks.allocation import BLOCK, FixedBlocks
from idealprompt_cli.core.prompt import Prompt, Verbaliser
from idealprompt_cli.evaluation.cross_fitting import Candidate
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.evaluation.racing import blocks, race
from idealprompt_cli.metrics import METRICS

from ..support.fake_vlm import MAX_CHARACTERS, FakeVlm, shop_task

TASK = shop_task(n_train=32)
FOLD_OF = {example.id: 0 for example in TASK.train}
GOOD = Prompt(
    "The pattern?",
    verbalisers=(Verbaliser("K7", ("striped", "checked")), Verbaliser("M2", ("plain", "dotted"))),
)
BAD = Candidate(
    GOOD.with_(
        role="An inspector.",
        verbalisers=tuple(
            Verbaliser(v.label, w.words)
            for v, w in zip(GOOD.verbalisers, GOOD.verbalisers[::-1], strict=True)
        ),
    )
)


def evaluator() -> tuple[Evaluator, FakeVlm]:
    engine = FakeVlm()
    return Evaluator(MeteredEngine(engine), TASK, METRICS["accuracy"]), engine


def test_blocks_double() -> None:
    assert [len(block) for block in blocks(TASK.train, 2)] == [8, 8, 16]
    assert [len(block) for block in blocks(TASK.train, 6)] == [12, 12, 8]
    assert [len(block) for block in blocks(TASK.train[:5], 2)] == [5]


def test_a_clearly_worse_candidate_is_dropped_early() -> None:
    judge, _ = evaluator()
    best = judge.evaluate(GOOD, TASK.train).outcomes
    (finish,) = race(judge, [BAD], best, TASK.train, FOLD_OF)
    assert finish.state == "pruned"
    assert finish.evaluation is not None
    assert finish.evaluation.n == 8
    assert finish.note == "dropped after 8 examples"


def test_a_candidate_whose_answers_are_known_is_not_dropped() -> None:
    judge, engine = evaluator()
    best = judge.evaluate(GOOD, TASK.train).outcomes
    calls = engine.calls
    known = Candidate(GOOD.with_(verbalisers=BAD.prompt.verbalisers))
    (finish,) = race(judge, [known], best, TASK.train, FOLD_OF)
    assert finish.state == "complete"
    assert engine.calls == calls


def test_fixed_blocks_drop_at_the_end_of_a_block_whatever_is_known() -> None:
    judge, _ = evaluator()
    best = judge.evaluate(GOOD, TASK.train).outcomes
    finish, good = FixedBlocks(judge, [BAD, Candidate(GOOD)], best, TASK.train, FOLD_OF).run()
    assert (finish.state, good.state) == ("pruned", "complete")
    assert finish.evaluation is not None
    assert finish.evaluation.n == BLOCK
    known = Candidate(GOOD.with_(verbalisers=BAD.prompt.verbalisers))
    assert FixedBlocks(judge, [known], best, TASK.train, FOLD_OF).run()[0].state == "pruned"


def test_survivors_share_a_call_per_block() -> None:
    judge, engine = evaluator()
    others = [Candidate(GOOD.with_(role=role)) for role in ("a", "b")]
    finishes = race(judge, others, None, TASK.train, FOLD_OF)
    assert [f.state for f in finishes] == ["complete", "complete"]
    assert engine.calls == 3


def test_a_prompt_that_does_not_fit_fails_alone() -> None:
    judge, _ = evaluator()
    long = Candidate(GOOD.with_(context="x" * MAX_CHARACTERS))
    failed, fine = race(judge, [long, Candidate(GOOD)], None, TASK.train, FOLD_OF)
    assert (failed.state, failed.evaluation) == ("failed", None)
    assert "does not fit" in failed.note
    assert fine.state == "complete"
