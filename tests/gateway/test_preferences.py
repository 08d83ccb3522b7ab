"""What a caller's wishes make of models and channels."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from catalog.pricing import Usage
from catalog.snapshot import Price, Rates, Route, Snapshot, Tier
from gateway.call import Call, Estimate, Option, Outcome, Request
from gateway.errors import InvalidRequest
from gateway.formats.chat import Chat
from gateway.preferences import preferred
from gateway.speeds import Speeds
from gateway.wishes import Provider
from tests.gateway.attempts import ask, channel, model

PROVIDERS = ("openai", "azure", "west")


def option(
    name: str = "m", *, rate: int = 1_000_000, above: int = 0, providers: tuple[str, ...] = PROVIDERS
) -> Option:
    """Return a model with a channel at each provider; input costs ``rate``, output twice that."""
    tiers = [Tier(0, Rates(rate, rate, rate, 2 * rate))]
    if above:
        tiers.append(Tier(200_000, Rates(above, above, above, 2 * above)))
    routes = tuple(Route(channel(slug, id=f"chan_{slug}"), "m") for slug in providers)
    sold = model(name, prices=(Price(f"price_{name}", 0, tuple(tiers)),), routes=routes)
    return Option(sold, sold.prices[0], routes, Estimate(fair=1_000, most=2_000))


def obeyed(options: list[Option], speeds: Speeds | None = None, **wishes: Any) -> list[Option]:
    """Return what is left of models under wishes as a caller writes them."""
    snapshot = Snapshot(1, {}, (), providers=frozenset({*PROVIDERS, "google"}))
    return preferred(
        options,
        msgspec.convert(wishes, Provider),
        snapshot=snapshot,
        speeds=speeds or Speeds(),
        is_stream=False,
    )


def slugs(options: list[Option]) -> list[str]:
    return [route.channel.provider for route in options[0].candidates]


@pytest.mark.parametrize(
    ("wishes", "left"),
    [
        ({}, ["openai", "azure", "west"]),
        ({"order": ["west"]}, ["west", "openai", "azure"]),
        ({"order": ["West", "azure"]}, ["west", "azure", "openai"]),
        ({"only": ["azure", "openai"]}, ["openai", "azure"]),
        ({"ignore": ["openai"]}, ["azure", "west"]),
        ({"only": ["azure", "west"], "ignore": ["azure"]}, ["west"]),
        ({"only": []}, ["openai", "azure", "west"]),
        ({"allow_fallbacks": False}, ["openai"]),
        ({"allow_fallbacks": True, "order": ["west"]}, ["west", "openai", "azure"]),
        ({"allow_fallbacks": False, "ignore": ["openai"]}, ["azure"]),
        ({"allow_fallbacks": False, "order": ["google", "west", "azure"]}, ["west", "azure"]),
    ],
    ids=str,
)
def test_providers_go_and_change_places_as_the_caller_wishes(wishes: dict[str, Any], left: list[str]) -> None:
    assert slugs(obeyed([option()], **wishes)) == left


@pytest.mark.parametrize("name", ["order", "only", "ignore"])
def test_a_provider_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        obeyed([option()], None, **{name: ["openai", "opnai"]})

    assert refused.value.param == "provider"
    assert f"'opnai' in 'provider.{name}'" in refused.value.message


@pytest.mark.parametrize("wishes", [{"only": ["google"]}, {"ignore": [*PROVIDERS]}])
def test_wishes_that_leave_nobody_ever_are_the_caller_s_mistake(wishes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        obeyed([option()], **wishes)

    assert refused.value.param == "provider"
    assert "the model 'm'" in refused.value.message
    assert "openai, azure, west" in refused.value.message


def test_a_provider_whose_channel_is_away_for_now_is_no_mistake() -> None:
    away = option(providers=("azure",))

    (left,) = obeyed([away], only=["openai"])

    assert (away.model.provider, left.candidates) == ("openai", ())


def test_the_sandbox_is_each_model_s_own_provider() -> None:
    played = option(providers=("sandbox", "azure"))

    assert slugs(obeyed([played], only=["openai"])) == ["sandbox"]
    assert slugs(obeyed([played], ignore=["openai"])) == ["azure"]


def test_a_model_without_any_channel_is_not_the_wishes_fault() -> None:
    assert obeyed([option(providers=())], only=["azure"])[0].candidates == ()


def test_a_model_that_nobody_wished_for_serves_is_passed_over_for_the_next() -> None:
    left = obeyed([option("a", providers=("azure",)), option("b", providers=("west",))], only=["west"])

    assert [each.model.id for each in left] == ["b"]


def test_a_model_that_is_named_twice_is_asked_once_and_where_it_stands_first() -> None:
    left = obeyed([option("a"), option("b"), option("a"), option("b")])

    assert [each.model.id for each in left] == ["a", "b"]


def test_the_cheapest_model_comes_first_where_price_decides() -> None:
    left = obeyed([option("a", rate=3), option("b", rate=1), option("c", rate=2)], sort="price")

    assert [each.model.id for each in left] == ["b", "c", "a"]


def test_a_model_that_is_too_dear_is_passed_over_and_the_price_itself_is_not_too_dear() -> None:
    left = obeyed([option("dear", rate=1_000_001), option("fit")], max_price={"prompt": 1, "completion": 2.0})

    assert [each.model.id for each in left] == ["fit"]


@pytest.mark.parametrize(
    ("bound", "kind", "price"),
    [({"prompt": 0.5}, "prompt", "1.0"), ({"completion": 0.5}, "completion", "2.0")],
)
def test_the_refusal_of_a_price_names_both_numbers(bound: dict[str, float], kind: str, price: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        obeyed([option("m"), option("n", rate=9_000_000)], max_price=bound)

    assert refused.value.param == "provider"
    assert f"'m' costs ${price} per million {kind} tokens" in refused.value.message
    assert f"the $0.5 of 'provider.max_price.{kind}'" in refused.value.message


def test_a_long_prompt_is_measured_by_what_it_may_cost() -> None:
    tiered = option("m", above=2_000_000)
    long = msgspec.structs.replace(tiered, estimate=Estimate(fair=150_000, most=300_000))

    assert obeyed([tiered], max_price={"prompt": 1}) == [tiered]
    with pytest.raises(InvalidRequest, match=r"\$2\.0"):
        obeyed([long], max_price={"prompt": 1})


def served(slug: str, *, took_s: float, tokens: int, speeds: Speeds) -> None:
    """Let a channel have answered."""
    one = option()
    call = Call(
        Request({}, b"", Chat()), None, ask(Chat(), {"model": "m", "messages": [{"role": "user", "content": "x"}]}),  # type: ignore[arg-type]
        one.model, one.price, one.candidates, one.estimate,
    )  # fmt: skip
    (call.channel,) = (route.channel for route in one.candidates if route.channel.provider == slug)
    call.asked_at = 1_000.0 - took_s
    speeds.note(call, Outcome("completed", 200, Usage(10, 0, 0, tokens, 0)))


def test_channels_are_sorted_by_how_soon_they_answered_and_how_fast_they_wrote() -> None:
    speeds = Speeds(clock=lambda: 1_000.0)
    served("azure", took_s=2.0, tokens=1_000, speeds=speeds)
    served("west", took_s=1.0, tokens=10, speeds=speeds)

    assert slugs(obeyed([option()], speeds, sort="latency")) == ["west", "azure", "openai"]
    assert slugs(obeyed([option()], speeds, sort="throughput")) == ["azure", "west", "openai"]
    assert slugs(obeyed([option()], speeds, sort="latency", order=["openai"])) == ["openai", "west", "azure"]


def test_an_answer_of_the_past_counts_less_and_less() -> None:
    speeds = Speeds(clock=lambda: 1_000.0)
    served("azure", took_s=100.0, tokens=1, speeds=speeds)
    served("west", took_s=2.0, tokens=1, speeds=speeds)
    for _ in range(30):
        served("azure", took_s=1.0, tokens=1, speeds=speeds)

    assert slugs(obeyed([option()], speeds, sort="latency"))[:2] == ["azure", "west"]
