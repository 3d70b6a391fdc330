"""The pool of strategies, strongest first. A new one: one file here and one line below.

The order is the order in which an uninformed search tries them. The fixed wordings (questions,
roles, cues, formats) are those that any instruction-tuned model has met; they were written without
sight of any model's training text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.answer_schema import AnswerKind
from ..core.interfaces import Strategy
from ..io.plugins import member
from .compare import Compare
from .compression import Compression
from .constraints import Constraints
from .contrast_question import ContrastQuestion
from .contrastive_pair import ContrastivePair
from .cues import Cues
from .definition_style import DefinitionStyle
from .demonstrations import Demonstrations
from .describe_first import DescribeFirst
from .domain_context import DomainContext
from .fields_position import FieldsPosition
from .grid_question import GridQuestion
from .image_position import ImagePosition
from .image_tokens import ImageTokens
from .label_descriptions import LabelDescriptions
from .label_order import LabelOrder
from .label_words import LabelWords
from .language import Language
from .one_at_a_time import OneAtATime
from .option_letters import OptionLetters
from .output_format import OutputFormat
from .paraphrase import Paraphrase
from .plain_question import AskAnew
from .reask import Reask
from .rewrite import Rewrite
from .role import Role
from .rule_descriptions import RuleDescriptions
from .verbaliser_search import VerbaliserSearch

STRATEGIES: Mapping[str, Strategy] = {
    "ask_anew": AskAnew(),
    "reask": Reask(),
    "contrast_question": ContrastQuestion(),
    "rule_descriptions": RuleDescriptions(),
    "grid_question": GridQuestion(),
    "compare": Compare(),
    "label_words": LabelWords(),
    "label_descriptions": LabelDescriptions(),
    "verbaliser_search": VerbaliserSearch(),
    "definition_style": DefinitionStyle(),
    "describe_first": DescribeFirst(),
    "paraphrase": Paraphrase(),
    "output_format": OutputFormat(),
    "option_letters": OptionLetters(),
    "contrastive_pair": ContrastivePair(),
    "label_order": LabelOrder(),
    "one_at_a_time": OneAtATime(),
    "cues": Cues(),
    "demonstrations": Demonstrations(),
    "domain_context": DomainContext(),
    "role": Role(),
    "constraints": Constraints(),
    "image_position": ImagePosition(),
    "image_tokens": ImageTokens(),
    "fields_position": FieldsPosition(),
    "language": Language(),
    "compression": Compression(),
    "rewrite": Rewrite(),
}


def select(
    names: Sequence[str] | None = None, answer: AnswerKind = "label"
) -> tuple[Strategy, ...]:
    """The named strategies in the registry's order, plugins last; for none, all that suit a kind of
    answers.

    Raises UsageError naming the nearest for an unknown name.
    """
    if not names:
        return tuple(s for s in STRATEGIES.values() if not s.kinds or answer in s.kinds)
    chosen = {name: member("strategies", STRATEGIES, name) for name in names}
    order = {name: place for place, name in enumerate(STRATEGIES)}
    ranked = sorted(chosen, key=lambda name: order.get(name, len(order)))
    return tuple(chosen[name] for name in ranked)
