"""The tokenizer: byte-level BPE learned on generated questions, and the chat format around it."""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from training.language import CONTEXTS, MIXTURE, ROLES, VALUES, sample_turn
from training.scene import sample_scene

END, START, TURN_START, TURN_END = "<|endoftext|>", "<|startoftext|>", "<|im_start|>", "<|im_end|>"
SPECIALS = (END, START, TURN_START, TURN_END)
VOCAB = 1024
USER, ASSISTANT = f"{TURN_START}user\n", f"{TURN_END}\n{TURN_START}assistant\n"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Everyday words, so that prompts outside the training phrasings do not fall to single bytes.
WORDS = (
    "the and for with that this from have not are was will can should would could please only "
    "must when where which while because into over under between before after about above "
    "below also answer question label labels code codes class classes category option options "
    "example examples image images picture pictures photo photos item items product products "
    "object objects customer inspect inspection quality check whether carefully decide "
    "decision return returned following text word words letter correct wrong true false best "
    "most likely look shows shown seen see give route routing department team order shop "
    "store warehouse grade match matching pair style "
)


def train_tokenizer(path: Path, seed: int = 5, size: int = 40000) -> Tokenizer:
    """Learns the merges and writes `tokenizer.json`."""
    rng = Random(seed)
    lines: list[str] = []
    for _ in range(size):
        turn = sample_turn(sample_scene(rng), rng, MIXTURE)
        lines += [turn.question, turn.answer]
    every = [v for values in VALUES.values() for v in values]
    lines += [f"{w} {w}" for w in every for _ in range(60)]
    lines += [f"{w} {w}" for w in WORDS.split() for _ in range(40)]
    lines += [f" {a} {a}" for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for _ in range(80)]
    lines += [*ROLES, *CONTEXTS] * 40 + ["system", "user", "assistant"] * 2000
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.save(str(path))
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    train_tokenizer(parser.parse_args().out)


if __name__ == "__main__":
    main()
