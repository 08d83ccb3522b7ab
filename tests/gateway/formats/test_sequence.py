from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, strategies as st

from gateway.events import (
    Cited,
    Done,
    Event,
    Finished,
    RefusalDelta,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.formats.sequence import Ordered, PartBegan, PartEnded, Sequence


def parts_of(out: list[Ordered]) -> list[tuple[str, str]]:
    """Return kind and content of each part, and fail when any two overlap."""
    parts: list[tuple[str, str]] = []
    open_: PartBegan | None = None
    for event in out:
        if isinstance(event, PartBegan):
            assert open_ is None
            assert event.index == len(parts)
            open_ = event
            parts.append((event.tool.name if event.tool else event.kind, ""))
        elif isinstance(event, PartEnded):
            assert open_ is not None
            assert (event.index, event.kind) == (open_.index, open_.kind)
            open_ = None
        elif isinstance(event, TextDelta | ThinkingDelta | RefusalDelta | ToolDelta):
            assert open_ is not None
            if isinstance(event, ToolDelta):
                assert open_.tool is not None
                assert open_.tool.key == event.key
            name, said = parts[-1]
            parts[-1] = name, said + (event.arguments if isinstance(event, ToolDelta) else event.text)
        elif isinstance(event, Searched | Finished):
            assert open_ is None
    assert open_ is None
    return parts


def test_parts_begin_and_end_where_the_kind_changes() -> None:
    out = Sequence().order(
        [
            ThinkingDelta("hm"),
            ThinkingSealed("sig", "anthropic"),
            ThinkingSealed("xyz", "anthropic", is_redacted=True),
            TextDelta(""),
            TextDelta("a"),
            TextDelta("b"),
            ToolBegan(0, "t0", "look"),
            ToolDelta(0, "{}"),
            TextDelta("c"),
            Finished("stop"),
        ]
    )

    assert parts_of(out) == [
        ("thinking", "hm"),
        ("thinking", ""),
        ("text", "ab"),
        ("look", "{}"),
        ("text", "c"),
    ]


def test_arguments_in_turns_are_sorted_and_a_complete_call_lets_the_next_one_go() -> None:
    sequence = Sequence()
    out = sequence.order(
        [ToolBegan(0, "t0", "a"), ToolDelta(0, '{"x"'), ToolBegan(1, "t1", "b"), ToolDelta(1, '{"y":')]
    )
    assert [type(event) for event in out] == [PartBegan, ToolDelta]

    more = sequence.order([ToolDelta(0, ":1}")])
    assert [type(event) for event in more] == [ToolDelta, PartEnded, PartBegan, ToolDelta]

    out += more + sequence.order([ToolDelta(1, "2}"), Finished("tool_calls")])
    assert parts_of(out) == [("a", '{"x":1}'), ("b", '{"y":2}')]


def test_a_call_without_end_holds_the_others_back_but_loses_nothing() -> None:
    sequence = Sequence()
    out = sequence.order([ToolBegan(0, "t0", "a"), ToolDelta(0, "{"), TextDelta("later"), Searched("s")])

    out += sequence.end()

    assert parts_of(out) == [("a", "{"), ("text", "later")]
    assert Searched("s") in out


def test_other_choices_are_left_out_and_citations_stay_with_their_text() -> None:
    cited = Cited("https://a.example", start=0, end=1)
    out = Sequence().order([TextDelta("no", choice=1), TextDelta("yes"), cited, Finished("stop"), Done()])

    assert out == [
        PartBegan(0, "text"),
        TextDelta("yes"),
        cited,
        PartEnded(0, "text"),
        Finished("stop"),
        Done(),
    ]


ARGUMENTS = st.dictionaries(st.text(max_size=4), st.text(max_size=6) | st.integers(), max_size=3)
WORDS = st.text(min_size=1, max_size=5)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Return tool calls whose pieces come in any mixture, with words and searches in between."""
    queues: list[list[Event]] = []
    for key, arguments in enumerate(draw(st.lists(ARGUMENTS, max_size=4))):
        is_custom = draw(st.booleans())
        text = draw(WORDS) if is_custom else json.dumps(arguments, ensure_ascii=draw(st.booleans()))
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)) | {0, len(text)})
        pieces: list[Event] = [ToolDelta(key, text[start:end]) for start, end in pairwise(cuts)]
        queues.append([ToolBegan(key, f"t{key}", f"tool{key}", is_custom), *pieces])
    words = WORDS.map(TextDelta) | WORDS.map(ThinkingDelta) | WORDS.map(RefusalDelta) | st.just(Searched("s"))
    queues.append(draw(st.lists(words, max_size=6)))
    events: list[Event] = []
    while any(queues):
        queue = draw(st.sampled_from([each for each in queues if each]))
        events.append(queue.pop(0))
    return events


@given(answers(), st.integers(1, 5))
def test_no_mixture_loses_anything_or_lets_parts_overlap(events: list[Event], at_once: int) -> None:
    sequence = Sequence()
    out: list[Ordered] = []
    for start in range(0, len(events), at_once):
        out += sequence.order(events[start : start + at_once])

    out += sequence.order([Finished("stop")])

    said: dict[str, str] = {}
    for name, text in parts_of(out):
        said[name] = said.get(name, "") + text
    wanted: dict[str, str] = {}
    kinds = {TextDelta: "text", ThinkingDelta: "thinking", RefusalDelta: "refusal"}
    for event in events:
        if isinstance(event, ToolBegan):
            wanted.setdefault(event.name, "")
        elif isinstance(event, ToolDelta):
            wanted[f"tool{event.key}"] += event.arguments
        elif isinstance(event, TextDelta | ThinkingDelta | RefusalDelta):
            wanted[kinds[type(event)]] = wanted.get(kinds[type(event)], "") + event.text
    assert said == wanted
    assert [e for e in out if isinstance(e, Searched)] == [e for e in events if isinstance(e, Searched)]
