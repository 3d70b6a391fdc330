"""Which weights a model is computed with: those of its files, or bfloat16 copies of them.

llama.cpp has fast kernels for many tokens at a time for a few formats only; K-quants, Q4_1 and Q5_1
have none on most CPUs. Where the CPU multiplies bfloat16, the same weights dequantised are up to
four times as fast. Scores differ a little: the kernels for quantised weights round activations to
8 bits with one scale for 32 of them, bfloat16 gives each its own exponent, so a copy is closer to
what the file's weights say without rounding (`python -m benchmarks.engine.weights`).

The same command gives the same result only if it computes with the same weights, so the choice
rests on nothing that changes from run to run: the measurement is kept, and the machine's whole
memory is looked at. What a prompt or an interrupted run was measured with is used again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ....core.errors import ModelError
from ....core.interfaces import Notice
from ....core.task import ModelRef
from ...options import EngineOptions, RecordedWeights, available_cores, in_words
from ..caching.weight_copies import LIMIT_BYTES, WeightCopies, size_of
from ..native import library as native
from ..native.gguf_header import Header
from .autotune import SWITCH
from .copy_gain import WORTHWHILE, Gain, can_gain, computes_bfloat16, known_gain, measure_gain
from .memory_budget import available, installed

_FILE_TYPE, _BF16 = "general.file_type", 32  # llama.h: LLAMA_FTYPE_MOSTLY_BF16
_SHARE_OF_MEMORY, _SHARE_OF_MACHINE = 0.6, 0.5
"""Of `EngineOptions.memory`, and of the machine's memory, that copies may take."""
_TEXT, _IMAGES = "text", "images"


@dataclass(frozen=True)
class Weights:
    """The files that are loaded: those of the model, or copies of some in bfloat16. `reason` says
    why, where that was measured."""

    text: Header
    mmproj: Header | None
    text_copied: bool = False
    mmproj_copied: bool = False
    reason: str = ""

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.text.path, self.mmproj.path if self.mmproj else None)

    @property
    def name(self) -> str:
        """ "file", or which parts are copies."""
        parts = [
            *([_TEXT] if self.text_copied else []),
            *([_IMAGES] if self.mmproj_copied else []),
        ]
        return f"bf16 ({', '.join(parts)})" if parts else "file"

    @property
    def copied(self) -> bool:
        return self.text_copied or self.mmproj_copied

    def identify(self, digest: str) -> str:
        """A fingerprint of files, different for what is computed with copies of them."""
        return f"{digest}{'-t16' * self.text_copied}{'-i16' * self.mmproj_copied}"

    def identify_images(self, digest: str) -> str:
        """The same for what depends on the projector alone."""
        return f"{digest}{'-i16' * self.mmproj_copied}"


def choose(
    text: Header,
    mmproj: Header | None,
    digest: str,
    options: EngineOptions,
    notice: Notice,
) -> Weights:
    """The weights that the options ask for, copies made if need be; `digest` is the fingerprint of
    the files. Raises `ModelError` where copies are asked for, or a run that is resumed needs them,
    and they cannot be had; "auto" then takes the files, with a notice."""
    if options.weights == "bf16":
        return _asked_for(text, mmproj, options, notice)
    own, recorded = Weights(text, mmproj), options.recorded
    if options.weights == "file":
        return own
    if recorded is not None and recorded.fingerprint == digest:
        return _recorded(own, recorded, options, notice)
    tuned = options.tune != "off" and os.environ.get(SWITCH) != "off"
    if not tuned or not can_gain(text, options) or not _fits(own, options):
        return own
    known = None if options.tune == "again" else known_gain(own.ref, options)
    if known and max(known.prompts, known.images) < WORTHWHILE:
        return own
    if not _free_now(own, options, notice):
        return own
    try:
        gain = measure_gain(own.ref, options)
        if gain is None or max(gain.prompts, gain.images) < WORTHWHILE:
            return own
        return _worthwhile(own, gain, known is not None, options, notice)
    except ModelError as error:
        notice(f"The model's files are computed with as they are: {error}")
        return own


def _recorded(
    own: Weights, recorded: RecordedWeights, options: EngineOptions, notice: Notice
) -> Weights:
    """What is recorded. A prompt that was measured with copies is used with the file where this
    machine is slow with copies or has no room; a run that is resumed cannot change its weights."""
    names = [one for one in (_TEXT, _IMAGES) if one in recorded.name]
    usable = computes_bfloat16(options) and _fits(own, options)
    if not names or (not recorded.needed_by and not (usable and _free_now(own, options, notice))):
        return own
    copies, wanted = WeightCopies(options.cache_folder()), {_TEXT: own.text, _IMAGES: own.mmproj}
    new = [part for name in names if (part := wanted[name]) and not copies.has(part)]
    try:
        found = _copied(own, names, options, f"as {recorded.of} was measured")
    except ModelError as error:
        if recorded.needed_by:
            raise ModelError(
                f"{recorded.of} was computed with copies of the weights, {recorded.name}: {error}, "
                f"or {recorded.anew}"
            ) from error
        notice(f"The model's files are computed with as they are: {error}")
        return own
    if new:
        notice(_made(new, options, f"as {recorded.of} was measured"))
    return found


def _copied(own: Weights, names: Sequence[str], options: EngineOptions, why: str = "") -> Weights:
    """Copies of the named parts. Raises `ModelError`."""
    text, mmproj = _TEXT in names, own.mmproj if _IMAGES in names else None
    return Weights(
        _copy(own.text, options) if text else own.text,
        _copy(mmproj, options) if mmproj else own.mmproj,
        text,
        mmproj is not None,
        f"weights in bfloat16: {why}" * bool(why),
    )


def _made(parts: Sequence[Header], options: EngineOptions, why: str) -> str:
    """The notice of copies that were made."""
    size, folder = in_words(sum(map(size_of, parts))), WeightCopies(options.cache_folder()).folder
    return f"Computing with copies of the weights in bfloat16 ({size} in {folder}): {why}."


def _asked_for(
    text: Header, mmproj: Header | None, options: EngineOptions, notice: Notice
) -> Weights:
    if not native.multiplies_bfloat16():
        notice(
            "--weights bf16: this CPU (or this build of llama.cpp) has no bfloat16 instructions, "
            "so the copies are likely to be slower than the files"
        )
    size = sum(size_of(part) for part in (text, mmproj) if part)
    if options.memory and size > options.memory:
        raise ModelError(
            f"--memory {in_words(options.memory)} does not hold the bfloat16 copies of this model "
            f"({in_words(size)}); use --weights file"
        )
    try:
        return _copied(Weights(text, mmproj), (_TEXT, _IMAGES), options)
    except ModelError as error:
        raise ModelError(f"{error}, or use --weights file") from error


def _worthwhile(
    own: Weights, gain: Gain, known: bool, options: EngineOptions, notice: Notice
) -> Weights:
    """Copies of the parts that gain enough by them, with a notice the first time."""
    parts = (_TEXT, own.text, gain.prompts, "prompts"), (_IMAGES, own.mmproj, gain.images, "images")
    gaining = [one for one in parts if one[2] >= WORTHWHILE]
    reason = " and ".join(f"{what} {times:.1f} times as fast" for _, _, times, what in gaining)
    found = _copied(own, [name for name, *_ in gaining], options, f"{reason} as with the file's")
    copied = [part for _, part, *_ in gaining if part and part.meta.get(_FILE_TYPE) != _BF16]
    if copied and not known:
        notice(f"{_made(copied, options, f'{reason} here')} --weights file uses the file's own.")
    return found


def _copy(part: Header, options: EngineOptions) -> Header:
    """The copy of a part; a file in bfloat16 is its own."""
    if part.meta.get(_FILE_TYPE) == _BF16:
        return part
    copies = WeightCopies(options.cache_folder())
    return copies.get(part, options.threads or available_cores())


def _size(own: Weights) -> int:
    """Bytes of copies of both files."""
    return sum(size_of(part) for part in (own.text, own.mmproj) if part)


def _fits(own: Weights, options: EngineOptions) -> bool:
    """Whether copies leave room for the caches, in memory and on the disk."""
    machine = _SHARE_OF_MACHINE * (installed() or 0)
    room = _SHARE_OF_MEMORY * options.memory if options.memory else machine
    return _size(own) <= min(room, LIMIT_BYTES)


def _free_now(own: Weights, options: EngineOptions, notice: Notice) -> bool:
    """Whether copies can be in memory beside what other programs hold; a notice where not."""
    free, size = available(), _size(own)
    if options.memory or free is None or size <= free:
        return True
    notice(
        f"Only {in_words(free)} of memory are free, so the model's files are computed with and not "
        f"bfloat16 copies of them ({in_words(size)}); scores may differ a little from those with "
        "copies. Close other programs, or choose with --weights."
    )
    return False
