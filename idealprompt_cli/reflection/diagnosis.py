"""What goes wrong with a prompt, and which edits the evidence speaks for. Scores nothing itself
beyond the few answers that the evidence needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import IdealPromptError
from ..core.interfaces import Proposer
from ..core.results import Outcome
from ..core.task import Example, pictured
from ..evaluation.budget import OutOfBudget
from ..evaluation.cross_fitting import Candidate
from ..evaluation.evaluator import Evaluator
from ..fitting.evidence import ModelEvidence
from ..fitting.questions import questions_for
from ..prompts.rendering import ordered_labels, render
from ..prompts.serialisation import fingerprint
from .calibration import OrderBias, calibrations, order_bias, orders
from .cases import Confusion, ranked
from .probing import Probe, probes, said
from .proposal import Proposal
from .proposer_edits import answer_form, capable, shown_of, written
from .text_edits import text_edits

# Pictures on which the order of the labels is turned round.
TURNED = 8
# Confusions about which a proposer is asked without any of its texts being accepted.
ASKS = 3
# A text field without content (arXiv 2102.09690).
NO_CONTENT = "N/A"


@dataclass
class Clinic:
    """Examines an incumbent. Questions are screened again for every new one: which of them helps
    depends on what is answered right already."""

    evaluator: Evaluator
    evidence: ModelEvidence
    examples: Sequence[Example]
    questions: Sequence[str] = ()
    blank: Path | None = None
    proposer: Proposer | None = None
    kept: tuple[Probe, ...] = ()
    kept_for: str = ""
    notes: list[str] = field(default_factory=list)
    proved: bool = False
    asks_left: int = ASKS

    def free(self, incumbent: Candidate, outcomes: Sequence[Outcome]) -> list[Proposal]:
        """Offsets of the labels: all answers that they need are known."""
        labels = self.evaluator.task.labels
        if self.evaluator.task.answer != "label" or not labels:
            return []
        blank = self._blank(incumbent)
        return calibrations(incumbent.prompt, outcomes, self.evidence, labels, blank)

    def general(self, incumbent: Candidate, outcomes: Sequence[Outcome]) -> list[Proposal]:
        """Edits that are aimed at no one confusion: the order of the labels, the answer's form."""
        task, prompt = self.evaluator.task, incumbent.prompt
        if task.answer != "label" or not task.labels:
            golds = [example.answer for example in self.examples]
            return answer_form(prompt, golds) if task.answer in ("label", "text") else []
        return orders(prompt, task.labels, self.order(incumbent, outcomes))

    def aimed(
        self,
        incumbent: Candidate,
        outcomes: Sequence[Outcome],
        confusion: Confusion,
        every: Sequence[Confusion],
    ) -> list[Proposal]:
        """Edits for a confusion, from descriptions of its cases and their neighbours."""
        task = self.evaluator.task
        found: list[Proposal] = []
        if task.answer == "label" and len(task.labels) > 1:
            replies = {o.example_id: o.reply for o in outcomes}
            kept = self._probes(incumbent, every, replies)
            rendered = {render(p, task.labels) for p in incumbent.variants.values()}
            found = text_edits(
                incumbent.prompt,
                self.evidence,
                task.labels,
                confusion,
                kept,
                replies,
                len(rendered) < 2,
            )
        return self._written(incumbent, confusion) + found

    def order(self, incumbent: Candidate, outcomes: Sequence[Outcome]) -> OrderBias | None:
        """The bias from the labels' order on the worst examples; None where no order is shown."""
        prompt, labels = incumbent.prompt, self.evaluator.task.labels
        if not (prompt.label_descriptions or prompt.label_order):
            return None
        order = ordered_labels(prompt, labels)
        worst = {o.example_id for o in sorted(outcomes, key=lambda o: o.margin)[:TURNED]}
        turned = prompt.with_(label_order=order[::-1])
        shown = [example for example in self.examples if example.id in worst]
        try:
            backward = self.evaluator.judge([(turned, example) for example in shown])
            forward = self.evaluator.judge([(prompt, example) for example in shown])
        except (OutOfBudget, IdealPromptError):
            return None
        first, second = ([item.outcome for item in side] for side in (forward, backward))
        return order_bias(first, second, order)

    def said_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The model's statements about these examples."""
        texts = said(self.evidence, self.kept)
        return {i: texts[i] for i in ids if i in texts}

    # --- inside -----------------------------------------------------------------------------------

    def _probes(
        self, incumbent: Candidate, every: Sequence[Confusion], replies: Mapping[str, str]
    ) -> tuple[Probe, ...]:
        name = fingerprint(incumbent.prompt)
        if self.kept_for != name:
            found = probes(self.evidence, ranked(every), self._questions(), replies)
            if self.evidence.affordable() >= len(self.examples):
                self.kept = found or self.kept
            self.kept_for = name
        return self.kept

    def _questions(self) -> Sequence[str]:
        """Those that were given, or those that suit the examples and the task's own question."""
        return self.questions or questions_for(self.examples, self.evaluator.task.question)

    def _blank(self, incumbent: Candidate) -> Outcome | None:
        """The incumbent's answer to an example without content."""
        first = self.examples[0]
        if self.blank is None and first.images:
            return None
        images = tuple(self.blank for _ in first.images if self.blank is not None)
        fields = dict.fromkeys(first.fields, NO_CONTENT)
        label = self.evaluator.task.labels[0]
        example = Example("blank", images, label, "content-free", fields)
        try:
            return self.evaluator.judge([(incumbent.prompt, example)])[0].outcome
        except (OutOfBudget, IdealPromptError):
            return None

    def _written(self, incumbent: Candidate, confusion: Confusion) -> list[Proposal]:
        """What the proposer makes of a confusion, as long as it is worth asking."""
        if self.proposer is None or self.asks_left == 0 or not confusion.other:
            return []
        if not self.proved and not capable(self.proposer):
            self.proposer = None
            self.notes.append("the proposer does not reflect; continuing without it")
            return []
        self.proved = True
        self.asks_left -= 1
        shown = shown_of(confusion, self.examples)
        texts = self.said_of([i for ids in shown.values() for i in ids])
        labels = self.evaluator.task.labels
        noun = "picture" if pictured(self.examples) else "text"
        return written(incumbent.prompt, confusion, shown, texts, labels, self.proposer, noun)

    def credit(self, kind: str) -> None:
        """An edit of this kind was accepted: a proposer whose text was may be asked again."""
        if kind.startswith("written"):
            self.asks_left = ASKS
