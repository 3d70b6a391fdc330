"""Change the language of the prompt: into the task's own, or into English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..prompts.questions import is_given
from ..prompts.validation import SENTENCE, clean, fit_rewrite

# Language -> (its English name, "Answer with one of the labels only." in it).
LANGUAGES: Mapping[str, tuple[str, str]] = {
    "de": ("German", "Antworte nur mit einem der Labels."),
    "fr": ("French", "Réponds uniquement par l'une des étiquettes."),
    "es": ("Spanish", "Responde solo con una de las etiquetas."),
    "it": ("Italian", "Rispondi solo con una delle etichette."),
    "pt": ("Portuguese", "Responda apenas com um dos rótulos."),
    "nl": ("Dutch", "Antwoord alleen met een van de labels."),
    "pl": ("Polish", "Odpowiedz tylko jedną z etykiet."),
    "tr": ("Turkish", "Yalnızca etiketlerden biriyle cevap ver."),
    "ru": ("Russian", "Ответь только одной из меток."),
    "zh": ("Chinese", "请只用其中一个标签回答。"),
    "ja": ("Japanese", "ラベルのいずれか一つだけで答えてください。"),
    "ko": ("Korean", "레이블 중 하나로만 대답하세요."),
}
ENGLISH = "Answer with one of the labels only."
REQUEST = "Translate into English, in one sentence: {question}"
TOKENS = 64


class Language(Strategy):
    """Small models have read mostly English, and little of the language that a question may be put
    in: the closing instruction in the question's language keeps the two together, English around
    a foreign question moves the answer to where the model is strongest, and somebody who can write
    may translate the question itself."""

    name = "language"
    summary = "put the instructions into the task's language or into English"
    source = "English pivots for multilingual prompts, arXiv 2210.03057"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return context.task.language.split("-")[0].lower() in LANGUAGES

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterator[Draft]:
        name, closing = LANGUAGES[context.task.language.split("-")[0].lower()]
        labels = context.task.labels
        if labels and not prompt.verbalisers and prompt.output_format != closing:
            yield Draft(prompt.with_(output_format=closing), f"closes in {name}")
        said = f"The question is in {name}."
        if said not in prompt.context:
            english = prompt.with_(context=f"{prompt.context} {said}".strip())
            if labels and not prompt.verbalisers:
                english = english.with_(output_format=ENGLISH)
            yield Draft(english, f"says in English that the question is in {name}")
        if (text := _translated(prompt, context)) is not None:
            yield Draft(prompt.with_(question=text), f'asks in English: "{text}"')


def _translated(prompt: Prompt, context: StrategyContext) -> str | None:
    """The question in English, where somebody can write and it is the same for all folds."""
    fixed = context.versions != 1 or is_given(prompt.question)
    if context.proposer is None or fixed or context.evidence.affordable() < 1:
        return None
    request = REQUEST.format(question=prompt.question)
    text = clean(context.proposer.write(request, TOKENS, SENTENCE))
    said = context.evidence.example_texts()
    fit = fit_rewrite(text, prompt.question, context.task.labels, said)
    return text if fit else None
