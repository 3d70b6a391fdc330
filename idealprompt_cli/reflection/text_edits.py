"""Edits of what a prompt says: definitions, task description, cues, question, words.

Each is made by a function of a prompt and evidence, so that it can be made again without the
examples of a fold. The fixed wordings are plain instruction English, fitted to no one model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

from ..core.interfaces import Draft, Evidence
from ..core.prompt import LabelText, Prompt, Verbaliser
from ..core.task import pictured
from ..fitting.answer_rules import joint_separation, phrases_of
from ..fitting.text_contrast import either
from ..fitting.verbalisers import fit_verbalisers, likelihood
from ..prompts.questions import asking, is_given
from ..prompts.rendering import words_for
from .cases import Confusion
from .probing import FITTED, Probe, phrases
from .proposal import Proposal

ASK = "Answer with the correct label."
WHICH = "Which label fits?"
FEW = 3
MAX_CUES = 3

Make = Callable[[Prompt, Evidence], Prompt | None]


def text_edits(
    prompt: Prompt,
    evidence: Evidence,
    labels: Sequence[str],
    confusion: Confusion,
    kept: Sequence[Probe],
    replies: Mapping[str, str],
    one_version: bool,
) -> list[Proposal]:
    """Every text edit that the evidence supports for a confusion.

    `replies`: example id -> what the prompt is answered with. `one_version`: the prompt reads the
    same for every fold, so that words can be fitted to it.
    """
    pair = (confusion.gold, confusion.other)
    options: dict[str, Any] = {"labels": tuple(labels), "kept": tuple(kept)}
    ruled = {**options, "replies": replies}
    makers: list[tuple[str, Make, str]] = [
        ("question", partial(_reask, **options), "this question tells the labels apart"),
        ("contrast", partial(_contrast, **options), "asks for what separates the labels"),
        ("rule", partial(_rule, **ruled), "defines by two answers together"),
        ("rule-first", partial(_rule_first, **ruled), "defines by two answers, the answers first"),
        ("rule-question", partial(_rule_question, **ruled), "asks for two things together"),
        ("rule-described", partial(_rule_described, **ruled), "describes, then applies the rule"),
        ("definitions", partial(_define, **options), "says what marks each label"),
        ("described", partial(_describe, **options), "describes, then looks up the marks"),
        ("answers", partial(_by_answers, **options), "defines by the distinctive answers"),
        ("sharpen", partial(_sharpen, pair=pair, kept=kept), "sharpens the two labels"),
        ("context", partial(_context, pair=pair, kept=kept), "tells the two labels apart"),
        ("cue", partial(_cue, pair=pair, kept=kept), "points at what separates the two"),
    ]
    if one_version:
        words = partial(_words, labels=tuple(labels))
        makers.insert(2, ("words", words, "moves words to the label they speak for"))
    found = []
    for kind, make, why in makers:
        edited = make(prompt, evidence)
        if edited is not None and edited != prompt:
            draft = Draft(edited, why, make)
            found.append(Proposal(kind, draft, why, confusion.name, confusion.ids))
    return found


def anew(prompt: Prompt, question: str) -> Prompt:
    """A new prompt that asks something else about the same fields."""
    fresh = Prompt(prompt.question, fields_position=prompt.fields_position)
    return asking(fresh, question)


# --- definitions ----------------------------------------------------------------------------------


def _define(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], kept: Sequence[Probe]
) -> Prompt | None:
    if prompt.verbalisers:
        return None
    texts = [LabelText(x, either(phrases(evidence, kept, x, labels, FEW))) for x in labels]
    return _defined(prompt, texts)


def _describe(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], kept: Sequence[Probe]
) -> Prompt | None:
    if prompt.reasoning != "none":
        return None
    defined = _define(prompt, evidence, labels=labels, kept=kept)
    return defined.with_(reasoning="describe") if defined else None


def _by_answers(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], kept: Sequence[Probe]
) -> Prompt | None:
    best = _distinctive_words(evidence, labels, kept)
    if best is None or prompt.verbalisers:
        return None
    words = {word.casefold() for v in best[1] for word in v.words}
    if words <= {"yes", "no"}:
        return None
    return _defined(prompt, [LabelText(v.label, either(sorted(v.words[:FEW]))) for v in best[1]])


def _defined(prompt: Prompt, texts: Sequence[LabelText]) -> Prompt | None:
    if any(not entry.text for entry in texts):
        return None
    asked = prompt.output_format or ASK
    return prompt.with_(label_descriptions=tuple(texts), output_format=asked)


# --- rules about two answers ----------------------------------------------------------------------


def _rule(
    prompt: Prompt,
    evidence: Evidence,
    *,
    labels: Sequence[str],
    kept: Sequence[Probe],
    replies: Mapping[str, str],
) -> Prompt | None:
    """A new prompt that defines the labels by what two questions answer: the pair of questions
    that separates most is found again for every fold."""
    found = _phrased(evidence, labels, kept, replies)
    if found is None or is_given(prompt.question):
        return None
    texts = tuple(LabelText(label, either(own)) for label, own in found.items())
    return anew(prompt, WHICH).with_(label_descriptions=texts)


def _rule_first(prompt: Prompt, evidence: Evidence, **options: Any) -> Prompt | None:
    ruled = _rule(prompt, evidence, **options)
    return ruled.with_(definition_style="description_first") if ruled else None


def _rule_described(prompt: Prompt, evidence: Evidence, **options: Any) -> Prompt | None:
    ruled = _rule(prompt, evidence, **options)
    return ruled.with_(reasoning="describe") if ruled else None


def _rule_question(
    prompt: Prompt,
    evidence: Evidence,
    *,
    labels: Sequence[str],
    kept: Sequence[Probe],
    replies: Mapping[str, str],
) -> Prompt | None:
    """A new prompt that offers the pairs of answers themselves, and reads them as labels."""
    found = _phrased(evidence, labels, kept, replies)
    if found is None or is_given(prompt.question):
        return None
    words = sorted(phrase for own in found.values() for phrase in own)
    verbalisers = tuple(Verbaliser(label, own) for label, own in found.items())
    return anew(prompt, f"Which fits: {either(words)}?").with_(verbalisers=verbalisers)


def _phrased(
    evidence: Evidence,
    labels: Sequence[str],
    kept: Sequence[Probe],
    replies: Mapping[str, str],
) -> dict[str, tuple[str, ...]] | None:
    def make() -> dict[str, tuple[str, ...]] | None:
        gold = {example.id: example.answer for example in evidence.examples}
        tables = evidence.word_scores([(probe.prompt, probe.words) for probe in kept])
        answers = [
            {i: max(row, key=row.__getitem__, default="") for i, row in t.items()} for t in tables
        ]
        answers.append({i: replies.get(i, "") for i in gold})
        speaking = [one for one in answers if not _mute(one, labels)]
        pairs = sorted(
            combinations(speaking, 2),
            key=lambda two: -joint_separation(two[0], two[1], gold),
        )
        return phrases_of(*pairs[0], gold, labels) if pairs else None

    asked = [probe.question for probe in kept]
    return evidence.once(f"phrased {labels} {asked} {sorted(replies.items())}", make)


def _mute(answers: Mapping[str, str], labels: Sequence[str]) -> bool:
    """Whether answers say nothing by themselves: yes and no, private labels, or nothing."""
    words = {word.casefold() for word in answers.values()}
    return words <= {"yes", "no"} or "" in words or bool(words & {x.casefold() for x in labels})


# --- the two labels of a confusion ----------------------------------------------------------------


def _sharpen(
    prompt: Prompt, evidence: Evidence, *, pair: tuple[str, str], kept: Sequence[Probe]
) -> Prompt | None:
    present = {entry.label: entry.text for entry in prompt.label_descriptions}
    if not set(pair) <= set(present):
        return None
    a, b = (phrases(evidence, kept, x, pair, 2) for x in pair)
    if not a or not b:
        return None
    new = {pair[0]: f"{either(a)}, not {b[0]}", pair[1]: f"{either(b)}, not {a[0]}"}
    return prompt.with_(
        label_descriptions=tuple(
            LabelText(label, new.get(label, text)) for label, text in present.items()
        )
    )


# --- task description and cues --------------------------------------------------------------------


def _context(
    prompt: Prompt, evidence: Evidence, *, pair: tuple[str, str], kept: Sequence[Probe]
) -> Prompt | None:
    a, b = (either(phrases(evidence, kept, x, pair, FEW)) for x in pair)
    if not a or not b:
        return None
    names = [words_for(prompt, label)[0] for label in pair]
    return prompt.with_(context=f"{names[0]} means {a}. {names[1]} means {b}.")


def _cue(
    prompt: Prompt, evidence: Evidence, *, pair: tuple[str, str], kept: Sequence[Probe]
) -> Prompt | None:
    a, b = (phrases(evidence, kept, x, pair, 1) for x in pair)
    if not a or not b or len(prompt.cues) >= MAX_CUES:
        return None
    look = "Look closely" if pictured(evidence.examples) else "Read closely"
    return prompt.with_(cues=(*prompt.cues, f"{look}: is it {a[0]} or {b[0]}?"))


# --- question and words ---------------------------------------------------------------------------


def _contrast(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], kept: Sequence[Probe]
) -> Prompt | None:
    """A new prompt that asks which mark is seen; a label's first mark stands for it."""
    marks = {label: phrases(evidence, kept, label, labels, 1) for label in labels}
    words = [found[0] for found in marks.values() if found]
    if len(set(words)) < len(labels) or is_given(prompt.question):
        return None
    verbalisers = tuple(Verbaliser(label, found) for label, found in marks.items())
    return anew(prompt, f"Is it {either(words)}?").with_(verbalisers=verbalisers)


def _reask(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], kept: Sequence[Probe]
) -> Prompt | None:
    """A new prompt with the probing question that tells the labels apart best, and the words
    that stand for them. Which question is best is found out again for every fold."""
    best = _distinctive_words(evidence, labels, kept)
    if best is None or is_given(prompt.question):
        return None
    return anew(prompt, best[0].question).with_(verbalisers=best[1])


def _distinctive_words(
    evidence: Evidence, labels: Sequence[str], kept: Sequence[Probe]
) -> tuple[Probe, tuple[Verbaliser, ...]] | None:
    def make() -> tuple[Probe, tuple[Verbaliser, ...]] | None:
        gold = {example.id: example.answer for example in evidence.examples}
        first = kept[:FITTED]
        tables = evidence.word_scores([(probe.prompt, probe.words) for probe in first])
        best, found = -float("inf"), None
        for probe, scores in zip(first, tables, strict=True):
            fitted = fit_verbalisers(scores, gold, labels)
            value = likelihood(scores, gold, labels, fitted) if fitted else best
            if fitted and value > best:
                best, found = value, (probe, fitted)
        return found

    asked = [(probe.question, probe.words) for probe in kept]
    return evidence.once(f"distinctive words {labels} {asked}", make)


def _words(prompt: Prompt, evidence: Evidence, *, labels: Sequence[str]) -> Prompt | None:
    """The same question read by other words: moves that make the gold labels likelier."""
    explained = prompt.label_descriptions or prompt.label_order or prompt.demonstrations
    if explained or prompt.reasoning != "none":
        return None
    present = [word for label in labels for word in words_for(prompt, label)]
    words = tuple(dict.fromkeys((*present, *evidence.vocabulary(24))))
    scores = evidence.word_scores([(prompt.with_(verbalisers=()), words)])[0]
    gold = {example.id: example.answer for example in evidence.examples}
    start = tuple(Verbaliser(label, words_for(prompt, label)) for label in labels)
    fitted = fit_verbalisers(scores, gold, labels, start)
    return prompt.with_(verbalisers=fitted, calibration=()) if fitted else None
