"""A committee of a run's prompts: its members, its weights and its cross-fitted score.

All of its data are answers that the run has paid: questions whose answer words were scored on every
training example, and prompts that were. The score that is reported is cross-fitted: members and
weights are chosen again for every fold, from the examples outside it. The words of a question are
the same for every fold, because no label was looked at to find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.committee import Committee, Member
from ..core.events import Announced
from ..core.prompt import Prompt
from ..core.results import CommitteeResult, Cost, RunResult, Trial
from ..core.task import Example
from ..evaluation.calibration import shifted_logs
from ..evaluation.committee import beside_committee
from ..evaluation.committee_layer import Ints, fit
from ..evaluation.context import RunContext
from ..evaluation.cross_fitting import deal, fold_places
from ..evaluation.evaluator import REASONING_TOKENS, Judged
from ..evaluation.probe import Array
from ..evaluation.statistics import compare, mixed_mean, within_one_error
from ..prompts.questions import prompt_of
from ..prompts.rendering import render
from .evidence import ModelEvidence
from .word_sources import known_questions

FOLDS = 8
ALONE = -1
"""The fold of an example that cannot be left out, because it is the only one of its label."""
MOST_CANDIDATES = 24
FEW = 10
"""Up to so many examples the committee stays unless the winner is reliably ahead."""


@dataclass(frozen=True)
class Candidate:
    """A prompt, the words that are compared as its answer, and their log-probabilities (examples,
    words)."""

    prompt: Prompt
    words: tuple[str, ...]
    logs: Array


@dataclass(frozen=True)
class Choice:
    """Candidates, and the examples with their labels' places and their folds."""

    candidates: tuple[Candidate, ...]
    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    gold: Ints
    fold: Ints

    def fitted(self, most: int, without: int | None = None) -> tuple[Committee, tuple[int, ...]]:
        """The committee that the examples outside a fold lead to (None leaves none out), and its
        members' places."""
        seen = np.array([one == ALONE or one != without for one in self.fold])
        logs = [candidate.logs[seen] for candidate in self.candidates]
        layer = fit(logs, self.gold[seen], len(self.labels), most)
        members = tuple(
            Member(
                self.candidates[place].prompt,
                self.candidates[place].words,
                {x: _rounded(row) for x, row in zip(self.labels, weights, strict=True)},
            )
            for place, weights in zip(layer.members, layer.weights, strict=True)
        )
        biases = dict(zip(self.labels, _rounded(layer.biases), strict=True))
        return Committee(members, biases), layer.members


def _rounded(numbers: Array) -> tuple[float, ...]:
    """Four decimals: what an artifact holds is what was scored."""
    return tuple(round(float(number), 4) for number in numbers)


def with_committee(
    context: RunContext, result: RunResult, evidence: ModelEvidence, most: int | None
) -> RunResult:
    """The result with the best committee of up to `most` prompts, where its cross-fitted score is
    not clearly below the winner's; the verdict says which. Asks the model nothing new.
    `most` None is one prompt, where the task allows it, without a word if none is as good; with 0
    nothing is weighted."""
    if most == 0 or (most is None and not _fits(context, evidence)):
        return result
    made = _best(context, result, evidence, most or 1)
    if made is None and most is None:
        return result
    result = replace(result, committee=made, most_members=most or 1)
    sentence = beside_committee(result)
    context.notify(Announced(sentence.strip()))
    return replace(result, verdict=result.verdict + sentence)


def _fits(context: RunContext, evidence: ModelEvidence) -> bool:
    """Whether there is enough to weigh words by, without a validation split of the user's own."""
    enough = len(context.task.labels) > 1 and len(evidence.examples) >= FOLDS
    return enough and not context.task.validation


def _best(
    context: RunContext, result: RunResult, evidence: ModelEvidence, most: int
) -> CommitteeResult | None:
    choice = _choice(context, result.trials, evidence)
    if not choice.candidates:
        return None
    evaluation = context.evaluator.summarise(_cross_fitted(context, choice, most))
    winner = result.selection.winner
    # The winner was picked by its score, which flatters it, and the committee was not. Of few
    # examples the best of many prompts gets most right by chance, so there only a reliable lead of
    # the winner counts.
    few = len(choice.examples) <= FEW
    worse = compare(evaluation.outcomes, winner.outcomes).reliable
    if worse if few else not within_one_error(winner.outcomes, evaluation.outcomes):
        return None
    committee, chosen = choice.fitted(most)
    tokens = sum(_tokens(context, choice.candidates[place].prompt) for place in chosen)
    test = compare(winner.outcomes, evaluation.outcomes, len(choice.candidates))
    return CommitteeResult(committee, tokens, evaluation, test)


def _tokens(context: RunContext, prompt: Prompt) -> int:
    thought = REASONING_TOKENS if prompt.reasoning != "none" else 0
    return context.engine.count_tokens(render(prompt, context.task.labels)) + thought


def _cross_fitted(context: RunContext, choice: Choice, most: int) -> list[Judged]:
    """What committees answer for the examples that they were chosen without."""
    judged = []
    for part in np.unique(choice.fold).tolist():
        committee, chosen = choice.fitted(most, without=part)
        for place in np.flatnonzero(choice.fold == part).tolist():
            logs = [choice.candidates[one].logs[place].tolist() for one in chosen]
            outcome = context.evaluator.joined(committee, choice.examples[place], logs)
            judged.append(Judged(outcome, Cost()))
    return judged


# --- the data -------------------------------------------------------------------------------------


def _choice(context: RunContext, trials: Sequence[Trial], evidence: ModelEvidence) -> Choice:
    """Questions by how well they tell the labels apart, then prompts by merit. The folds are the
    search's own, joined to at most eight."""
    labels, examples = context.task.labels, tuple(evidence.examples)
    folds = deal(examples, labels)
    fold_of = fold_places(folds, examples)
    found = [*_questions(evidence), *_prompts(trials, labels, examples, fold_of)]
    gold = np.array([labels.index(example.answer) for example in examples])
    in_folds = frozenset().union(*folds)
    fold = np.array([fold_of[e.id] % FOLDS if e.id in in_folds else ALONE for e in examples])
    return Choice(tuple(found[:MOST_CANDIDATES]), examples, labels, gold, fold)


def _questions(evidence: ModelEvidence) -> list[Candidate]:
    """The questions whose words were scored on all examples."""
    known = known_questions(evidence)
    found = []
    for source in sorted(known, key=lambda source: -known[source]):
        prompt = prompt_of(source.question)
        table = evidence.word_scores([(prompt, source.words)])[0]
        words = tuple(table[evidence.examples[0].id])
        logs = np.array([[table[e.id][word] for word in words] for e in evidence.examples])
        found.append(Candidate(evidence.shown(prompt), words, logs))
    return found


def _prompts(
    trials: Sequence[Trial],
    labels: Sequence[str],
    examples: Sequence[Example],
    fold_of: dict[str, int],
) -> list[Candidate]:
    """The prompts that were scored on all examples and answer with the labels themselves, without
    their calibration, each example by the version that it did not inspire."""
    found: dict[Prompt, Candidate] = {}
    scored = [(mixed_mean(t.evaluation.outcomes), t) for t in trials if t.evaluation]
    for _, trial in sorted(scored, key=lambda pair: -pair[0]):
        prompt, variants = trial.prompt.with_(calibration=()), dict(trial.variants)
        by_id = {o.example_id: o for o in trial.evaluation.outcomes} if trial.evaluation else {}
        if len(by_id) < len(examples) or trial.prompt.verbalisers or prompt in found:
            continue
        rows = []
        for example in examples:
            version = variants.get(fold_of[example.id], trial.prompt)
            without = {label: -offset for label, offset in version.calibration}
            logs = shifted_logs(by_id[example.id].probabilities, without)
            rows.append([logs[label] for label in labels])
        found[prompt] = Candidate(prompt, tuple(labels), np.array(rows))
    return list(found.values())
