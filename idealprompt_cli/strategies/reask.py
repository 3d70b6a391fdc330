"""Ask for an attribute in the model's own vocabulary and read its answer as the private label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from ..interfaces import Draft, Evidence, StrategyContext
from ..types import Example, Prompt
from .fitting import reading, refit_words
from .questions import QUESTIONS

MAX_DRAFTS = 3
MAX_WORDS = 32
# Share of the remaining budget that screening the questions may take.
SCREEN_SHARE = 0.4


class Reask:
    """Screens generic questions on a few pictures per label, by how well the model's short answers
    tell the labels apart; the best ones are scored on all pictures and read through fitted
    verbalisers. The parts that explain the private labels are dropped: nothing mentions them."""

    name = "reask"
    summary = "ask for an attribute in the model's own words and map its answer to the label"
    source = "pattern-verbaliser pairs, arXiv 2001.07676"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        evidence, labels = context.evidence, context.task.labels
        chosen = screen(QUESTIONS, evidence, len(labels))
        asked = [(bare(prompt, q), words) for q, words in chosen]
        evidence.word_scores(asked)
        drafts = []
        for question, words in chosen:
            refit = partial(_refit, question=question, words=words, labels=tuple(labels))
            if fitted := refit(prompt, evidence):
                note = f'asks "{question}" and reads {reading(fitted)}'
                drafts.append(Draft(fitted, note, refit))
        return drafts


def bare(prompt: Prompt, question: str) -> Prompt:
    """The prompt with another question, without the parts that speak of private labels."""
    return prompt.with_(
        question=question,
        label_descriptions=(),
        label_order=(),
        demonstrations=(),
        verbalisers=(),
        output_format="",
    )


def screen(
    questions: Sequence[str], evidence: Evidence, labels: int
) -> list[tuple[str, tuple[str, ...]]]:
    """The most telling questions with the words to score for each.

    Two rounds: all questions that the budget bears on two pictures per label, then the better half
    on twice as many.
    """
    per_label = 3 if labels == 2 else 2
    everything = len(evidence.examples)
    room = int(SCREEN_SHARE * max(0, evidence.affordable()))
    few, more = evidence.sample(per_label), evidence.sample(2 * per_label)
    questions = questions[: max(0, room * 2 // (3 * max(1, len(few.examples))))]
    answers = few.ask(questions)
    ranked = _rank(questions, answers, few.examples)
    half = [q for q, _ in ranked[: max(MAX_DRAFTS, len(ranked) // 3)]]
    answers = more.ask(half)
    best = _rank(half, answers, more.examples)
    afford = max(0, evidence.affordable()) // max(1, everything)
    said = dict(zip(half, answers, strict=True))
    return [(q, _words(said[q], evidence)) for q, _ in best[: min(MAX_DRAFTS, afford)]]


def _rank(
    questions: Sequence[str],
    answers: Sequence[Mapping[str, str]],
    examples: Sequence[Example],
) -> list[tuple[str, float]]:
    gold = {example.id: example.answer for example in examples}
    scores = [telling(said, gold) for said in answers]
    order = sorted(range(len(questions)), key=lambda place: -scores[place])
    return [(questions[place], scores[place]) for place in order]


def telling(answers: Mapping[str, str], gold: Mapping[str, str]) -> float:
    """How well answers tell the labels apart, in [0, 1]: the mean leave-one-out probability of the
    gold label among the other examples that got the same answer (add-one over the labels)."""
    labels, total = len(set(gold.values())), 0.0
    table = Counter((answers[i].casefold(), gold[i]) for i in gold)
    sizes = Counter(answers[i].casefold() for i in gold)
    for i, label in gold.items():
        said = answers[i].casefold()
        total += (table[said, label] - 1 + 1 / labels) / (sizes[said] - 1 + 1)
    return total / max(1, len(gold))


def _words(answers: Mapping[str, str], evidence: Evidence) -> tuple[str, ...]:
    """Words to score: the answers by frequency (with the other half of yes/no), then words of the
    model's descriptions. Labels are not looked at, so the list is the same for every fold."""
    counts = Counter(answer for answer in answers.values() if answer)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    for yes, no in (("yes", "no"), ("Yes", "No")):
        if yes in counts or no in counts:
            return tuple(dict.fromkeys((*words, yes, no)))[:MAX_WORDS]
    return tuple(dict.fromkeys((*words, *evidence.vocabulary(MAX_WORDS))))[:MAX_WORDS]


def _refit(
    prompt: Prompt,
    evidence: Evidence,
    *,
    question: str,
    words: Sequence[str],
    labels: Sequence[str],
) -> Prompt | None:
    return refit_words(bare(prompt, question), words, labels, evidence)
