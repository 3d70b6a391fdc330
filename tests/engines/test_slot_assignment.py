"""How work is put into slots and batches: pure bookkeeping, no model."""

from __future__ import annotations

import numpy as np
import pytest

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.engines.llama_cpp.caching.context_pool import ContextLimits
from idealprompt_cli.engines.llama_cpp.caching.slot_table import SlotTable
from idealprompt_cli.engines.llama_cpp.native.sequence_state import (
    SequenceState,
    allocate,
    from_disk,
    from_native,
)
from idealprompt_cli.engines.llama_cpp.scheduling.request_plan import Prefix
from idealprompt_cli.engines.llama_cpp.scheduling.sequence_groups import DecodeCost, grouped

COST = DecodeCost(fixed=10.0, per_sequence=0.0, per_token=1.0)


def groups(
    slots: tuple[int, ...], lengths: tuple[int, ...], pad: bool = True, cost: DecodeCost = COST
) -> list[tuple[int, int, int]]:
    found = grouped(slots, lengths, cost, 512, pad)
    return [(group.begin, group.end, group.length) for group in found]


def test_equal_neighbours_are_one_group() -> None:
    assert groups((3, 4, 5), (7, 7, 7)) == [(0, 3, 7)]
    assert groups((3, 4, 5), (7, 7, 7), pad=False) == [(0, 3, 7)]


def test_a_little_raggedness_is_padded_and_much_is_not() -> None:
    assert groups((0, 1, 2), (20, 21, 22)) == [(0, 3, 22)]
    assert groups((0, 1, 2), (20, 21, 22), pad=False) == [(0, 1, 20), (1, 2, 21), (2, 3, 22)]
    assert groups((0, 1, 2, 3), (5, 5, 90, 90)) == [(0, 2, 5), (2, 4, 90)]


def test_a_short_gap_is_filled_and_a_long_one_is_not() -> None:
    assert groups((0, 1, 3), (4, 4, 4)) == [(0, 3, 4)]
    assert groups((0, 1, 3), (40, 40, 40)) == [(0, 2, 40), (2, 3, 40)]


def test_the_grouping_is_the_cheapest_of_all() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        count = int(rng.integers(1, 7))
        slots = tuple(sorted(rng.choice(10, count, replace=False).tolist()))
        lengths = tuple(rng.integers(1, 30, count).tolist())
        cost = DecodeCost(float(rng.integers(0, 40)), float(rng.integers(0, 5)), 1.0)

        def price(parts: list[tuple[int, int]]) -> float:
            return sum(
                cost.of(slots[e - 1] - slots[b] + 1, max(lengths[b:e]), 64)  # noqa: B023
                for b, e in parts
            )

        splits = [
            [b for b in range(1, count) if mask >> (b - 1) & 1] for mask in range(1 << (count - 1))
        ]
        every = [list(zip([0, *cuts], [*cuts, count], strict=True)) for cuts in splits]
        mine = [(g.begin, g.end) for g in grouped(slots, lengths, cost, 64, True)]
        assert price(mine) == pytest.approx(min(map(price, every)))


def test_several_micro_batches_cost_their_start_each() -> None:
    assert COST.of(4, 16, 64) == 10 + 64
    assert COST.of(5, 16, 64) == 20 + 80


def prefix(key: str) -> Prefix:
    return Prefix((), (), (), (), key)


def test_heads_stay_where_they_are_and_new_ones_are_neighbours() -> None:
    slots = SlotTable(8, 100)
    assert slots.assign(["a", "b", "c"]) == [0, 1, 2]
    for slot, key in enumerate("abc"):
        slots.hold(slot, prefix(key), 5, 5)
    assert slots.assign(["c", "d", "e", "a"]) == [2, 3, 4, 0]


def test_second_slots_lie_behind_first_ones() -> None:
    slots = SlotTable(8, 100)
    assert slots.assign(["a", "a", "b", "b", "c"]) == [0, 3, 1, 4, 2]


def test_copies_go_before_heads_and_old_heads_before_new_ones() -> None:
    slots = SlotTable(4, 100)
    for slot, key in enumerate("aabc"):
        slots.hold(slot, prefix(key), 5, 5)
    slots.assign(["b"])
    assert slots.assign(["d"]) == [0]
    slots.hold(0, prefix("d"), 5, 5)
    assert slots.assign(["e"]) == [1], "copies are gone now: the oldest goes"


def test_room_shrinks_as_tokens_come() -> None:
    slots = SlotTable(1, 100)
    slots.hold(0, prefix("a"), 7, 30)  # positions are fewer than cells under M-RoPE
    slots.advance(0, np.array([5, 6, 7, 8], np.int32))
    assert slots.position(0) == 11
    assert slots.room(0) == 66


def test_tokens_in_common_with_the_last_prompt() -> None:
    slots = SlotTable(1, 100)
    slots.hold(0, prefix("a"), 7, 7)
    assert slots.common(0, 0, np.array([5], np.int32)) == 0
    slots.advance(0, np.array([5, 6], np.int32))
    slots.advance(0, np.array([7, 8], np.int32))
    for start, tokens, count in (
        (0, [5, 6, 7, 8, 9], 4),
        (0, [5, 6, 9], 2),
        (0, [6], 0),
        (2, [7, 9], 1),
        (4, [9], 0),
        (0, [], 0),
    ):
        assert slots.common(0, start, np.array(tokens, np.int32)) == count
    slots.hold(0, prefix("a"), 7, 7)
    assert slots.common(0, 0, np.array([5, 6], np.int32)) == 0


@pytest.mark.parametrize("slot", [0, 2, 3])
def test_a_state_is_good_for_any_number_of_slots(slot: int) -> None:
    cells = b"\x02\0\0\0the two cells"
    prefix = b"MAGC" + bytes([slot, 0, 0, 0])

    def written(slots: int, place: int) -> bytes:
        zeros = bytes(4)
        around = zeros * place + cells + zeros * (slots - 1 - place)
        return prefix + slots.to_bytes(4, "little") + around

    content = written(4, slot)
    buffer = allocate(len(content))
    buffer[: len(content)] = np.frombuffer(content, np.uint8)
    state = from_native(buffer, len(content), slot, 4, simple=True)
    assert state.slots == 0
    again = allocate(state.content.nbytes)
    again[: state.content.nbytes] = state.content
    reread = from_disk(again, state.content.nbytes, state.slots)
    for kept in (state, reread):
        for slots in (1, 4, 32):
            given = kept.for_slots(slots)
            assert given is not None
            assert given.tobytes() == written(slots, 0)


def test_a_state_of_another_form_is_only_good_for_its_own_kind() -> None:
    buffer = allocate(40)
    buffer[:40] = 7
    for simple in (True, False):
        state = from_native(buffer.copy(), 40, 1, 4, simple=simple)
        assert state.slots == 4
        assert state.for_slots(8) is None
        given = state.for_slots(4)
        assert given is not None
        assert given.tobytes() == bytes([7]) * 40
    assert isinstance(state, SequenceState)


def test_a_context_is_as_large_as_the_work() -> None:
    sizes = ContextLimits(n_ctx=4096, most_slots=32, kv_bytes=1 << 30, cell_bytes=1 << 10)
    assert sizes.fit(100, 1) == (4, 512), "room to grow, and a few sequences"
    assert sizes.fit(100, 24) == (32, 512)
    assert sizes.fit(4000, 8) == (8, 4096)
    assert sizes.fit(5000, 1)[1] == 4096, "prompts that are longer are refused elsewhere"


def test_little_memory_means_fewer_sequences_then_a_clear_error() -> None:
    sizes = ContextLimits(n_ctx=4096, most_slots=32, kv_bytes=3 << 18, cell_bytes=1 << 10)
    assert sizes.fit(100, 24) == (3, 256)
    assert sizes.fit(700, 24) == (1, 768)
    with pytest.raises(ModelError, match=r"800 tokens needs 1\.0 MiB .* 0\.8 MiB .*--memory"):
        sizes.fit(800, 24)
