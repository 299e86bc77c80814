"""Pairing cannot be shut: whatever strangers ask, and however often, an honest page's request is seen."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import httpx
import pytest

from service.gate.errors import TooManyRequestsError
from service.gate.grants import Grants
from service.gate.pairing import MOST_SHOWN, Pairing
from service.gate.pairing_requests import PairingRequest
from service.gate.scopes import DEFAULT_SCOPES, Scope
from tests.unit.service.bridge import TOKEN, Bridge

TRUSTED = "https://his.example-hospital.cn"
HONEST = "https://lis.other-hospital.cn"
CAN = frozenset({Scope.BASIC, Scope.FILES})


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(trusted={TRUSTED: CAN})
    yield made
    made.stop()


def ask(bridge: Bridge, origin: str, *scopes: str) -> httpx.Response:
    body = {"name": "x", "scopes": list(scopes or ("basic",))}
    return bridge.client.post("/v1/pairing", json=body, headers={"Origin": origin, "Authorization": ""})


def listed(bridge: Bridge, code: str = "") -> list[str]:
    query = {"code": code} if code else {}
    return [one["origin"] for one in bridge.client.get("/v1/pairing", params=query).json()["requests"]]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pairing(clock: Clock) -> Pairing:
    return Pairing(Grants(TOKEN, DEFAULT_SCOPES), {TRUSTED: CAN}, clock=clock)


def origins(requests: list[PairingRequest]) -> list[str]:
    return [one.origin for one in requests]


def test_strange_sites_shut_out_neither_a_trusted_page_nor_another_stranger(bridge: Bridge) -> None:
    for name in ("evil", "worse", "bad", "wrong", "foul", "mean", "vile", "base", "low", "sly", "grim", "dark"):
        for subdomain in ("a", "b"):
            assert ask(bridge, f"https://{subdomain}.{name}.com").status_code == 202
    begun = ask(bridge, TRUSTED)
    assert begun.status_code == 202
    outcome = bridge.caller(begun.json()["secret"], TRUSTED).get(f"/v1/pairing/{begun.json()['request']}").json()
    assert outcome["state"] == "granted" and outcome["token"]
    assert ask(bridge, HONEST).status_code == 202 and HONEST in listed(bridge)


def test_what_was_denied_keeps_nobody_else_out(bridge: Bridge) -> None:
    for name in ("evil", "worse", "bad", "wrong"):
        ask(bridge, f"https://a.{name}.com")
    for one in bridge.client.get("/v1/pairing").json()["requests"]:
        bridge.client.post(f"/v1/pairing/{one['request']}/deny")
    for name in ("foul", "mean", "vile", "base", "low", "sly", "grim", "dark"):
        ask(bridge, f"https://a.{name}.com")
    assert ask(bridge, TRUSTED).status_code == 202 and ask(bridge, HONEST).status_code == 202
    muted = ask(bridge, "http://b.evil.com:8080")
    assert muted.status_code == 429 and int(muted.headers["retry-after"]) > 30


@pytest.mark.parametrize("greedy", ["https://greedy.com", TRUSTED])
def test_a_page_that_asks_64_times_hurts_only_itself(bridge: Bridge, greedy: str) -> None:
    answers = [ask(bridge, greedy) for _ in range(64)]
    refused = [one for one in answers if one.status_code == 429]
    assert refused and all(1 <= int(one.headers["retry-after"]) <= 12 for one in refused)
    assert ask(bridge, HONEST).status_code == 202 and HONEST in listed(bridge)
    other = "https://www.greedy.net" if greedy == TRUSTED else TRUSTED
    assert ask(bridge, other).status_code == 202


def test_a_trusted_page_that_asks_again_and_again_cuts_nothing_that_goes_on(bridge: Bridge) -> None:
    """Another tab of it, or another user's, may be in the midst of a debit."""
    asked = ask(bridge, TRUSTED).json()
    secret = {"Origin": TRUSTED, "Authorization": f"Bearer {asked['secret']}"}
    token = bridge.client.get(f"/v1/pairing/{asked['request']}", headers=secret).json()["token"]
    busy = {"Origin": TRUSTED, "Authorization": f"Bearer {token}"}
    with bridge.client.stream("GET", "/v1/events", headers=busy) as events:
        assert events.status_code == 200
        for _ in range(30):
            ask(bridge, TRUSTED).raise_for_status()
        assert bridge.client.get("/v1/me", headers=busy).status_code == 200
    kept = [one for one in bridge.client.get("/v1/grants").json()["grants"] if one["origin"] == TRUSTED]
    assert len(kept) == 16, "what is idle goes as ever"


def test_however_busy_a_trusted_origin_is_its_grants_are_bounded(clock: Clock) -> None:
    grants = Grants(TOKEN, DEFAULT_SCOPES)
    pairing = Pairing(grants, {TRUSTED: CAN}, is_busy=lambda grant: True, clock=clock)
    for _ in range(200):
        clock.now += 10
        pairing.ask(TRUSTED, "HIS", [Scope.BASIC])
    assert len(grants.of_origin(TRUSTED)) == 128


def test_a_trusted_origin_does_not_pay_for_what_else_its_domain_has(bridge: Bridge) -> None:
    beside = "https://forum.example-hospital.cn"
    assert [ask(bridge, beside).status_code for _ in range(20)][-1] == 429
    assert ask(bridge, TRUSTED).status_code == 202
    (one,) = bridge.client.get("/v1/pairing").json()["requests"]
    bridge.client.post(f"/v1/pairing/{one['request']}/deny")
    assert ask(bridge, beside).status_code == 429 and ask(bridge, TRUSTED).status_code == 202
    # What it is not trusted with a person decides, and is not asked again at once.
    assert ask(bridge, TRUSTED, "basic", "pin").status_code == 202
    (one,) = bridge.client.get("/v1/pairing").json()["requests"]
    bridge.client.post(f"/v1/pairing/{one['request']}/deny")
    assert ask(bridge, TRUSTED, "basic", "pin").status_code == 429 and ask(bridge, TRUSTED).status_code == 202


def test_a_site_has_two_places_and_its_newest_take_them(pairing: Pairing, clock: Clock) -> None:
    for number, origin in enumerate(("https://a.evil.com.cn", "http://b.evil.com.cn:81", "https://c.evil.com.cn")):
        clock.now = number
        pairing.ask(origin, "x", [Scope.BASIC])
    assert origins(pairing.waiting()) == ["http://b.evil.com.cn:81", "https://c.evil.com.cn"]
    pairing.ask("https://a.other.com.cn", "x", [Scope.BASIC])
    assert len(pairing.waiting()) == 3


@pytest.mark.parametrize(
    ("origins_of_one", "stranger"),
    [
        (["https://a.evil.com", "https://b.c.evil.com", "http://evil.com:8080"], "https://evil.cn"),
        (["https://a.x.bj.cn", "https://x.bj.cn", "http://b.x.bj.cn"], "https://y.bj.cn"),
        (["https://a.x.gov.cn", "https://b.x.gov.cn", "http://x.gov.cn:82"], "https://y.gov.cn"),
        (["http://10.0.0.1", "https://10.0.0.1", "http://10.0.0.1:81"], "http://10.0.0.2"),
        (["http://[fd00::1]", "https://[fd00::1]", "http://[fd00::1]:81"], "http://[fd00::2]"),
        (["http://his", "https://his", "http://his:81"], "http://lis"),
        (["http://localhost:3000", "http://localhost:3001", "http://a.localhost"], "http://127.0.0.1:3000"),
        (["https://a.x.github.io", "https://x.github.io", "http://x.github.io:1"], "https://y.github.io"),
        (["https://a.xn--fct06i.xn--fiqs8s", "https://xn--fct06i.xn--fiqs8s", "http://b.xn--fct06i.xn--fiqs8s"],
         "https://xn--estv75g.xn--fiqs8s"),
        (["https://a.x.xn--55qx5d.cn", "https://x.xn--55qx5d.cn", "http://x.xn--55qx5d.cn"],
         "https://y.xn--55qx5d.cn"),
        (["app://his:1", "app://his:2", "app://his"], "app://lis"),
    ],
)  # fmt: skip
def test_what_a_person_takes_for_one_site_counts_as_one(
    pairing: Pairing, origins_of_one: list[str], stranger: str
) -> None:
    for origin in [*origins_of_one, stranger]:
        pairing.ask(origin, "x", [Scope.BASIC])
    assert origins(pairing.waiting()) == [*origins_of_one[1:], stranger]


def test_users_take_no_places_from_one_another(pairing: Pairing) -> None:
    mine, _ = pairing.ask(HONEST, "x", [Scope.BASIC], user=1001)
    for _ in range(10):
        pairing.ask(HONEST, "forged", [Scope.BASIC], user=1002)
    with pytest.raises(TooManyRequestsError):
        pairing.ask(HONEST, "forged", [Scope.BASIC], user=1002)
    assert mine in pairing.waiting() and mine.state == "waiting"
    pairing.deny(next(one.id for one in pairing.waiting() if one.user == 1002))
    assert pairing.ask(HONEST, "x", [Scope.BASIC], user=1001)


@pytest.mark.parametrize("honest", ["https://lis.other-hospital.cn", "https://www.clinic.com", "http://10.1.2.3"])
def test_a_flood_from_thousands_of_sites_is_bounded_and_hides_nobody(pairing: Pairing, honest: str) -> None:
    """The honest page asks before it, in its midst, and after it, under the same suffix too."""
    early, _ = pairing.ask(honest, "x", [Scope.BASIC])
    for number in range(6000):
        pairing.ask(f"https://a.evil{number}.com", "x" * 40, [Scope.BASIC])
    late, _ = pairing.ask("https://late.org", "x", [Scope.BASIC])
    middle, _ = pairing.ask("https://middle.com", "x", [Scope.BASIC])
    for number in range(6000, 9000):
        pairing.ask(f"https://a.evil{number}.com", "x" * 40, [Scope.BASIC])
    tracemalloc.start()
    for number in range(9000, 12_000):
        pairing.ask(f"https://a.evil{number}.com", "x" * 40, [Scope.BASIC])
        if number == 9000:
            first, _ = tracemalloc.get_traced_memory()
    last, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert last - first < 8 << 20 and len(pairing.waiting()) <= 4096
    assert early.state == late.state == "waiting"
    shown = pairing.list_requests()
    assert len(shown) == MOST_SHOWN and pairing.count > 4000
    assert late in shown and (early in shown or early in pairing.list_requests(early.code))
    # Under its own suffix it was pushed out by many thousands; asked again, it is found by its code.
    assert middle.state == "expired"
    again, _ = pairing.ask("https://middle.com", "x", [Scope.BASIC])
    code = f"{again.code[:3]} {again.code[3:]}"
    assert again in pairing.list_requests(code)
    for number in range(12_000, 17_000):
        pairing.ask(f"https://a.evil{number}.com", "x", [Scope.BASIC])
    assert again.state == "waiting", "no request pushes out one that a person looks at"
    assert pairing.approve(again.id, [Scope.BASIC]).origin == "https://middle.com"


def test_what_a_person_looks_at_stays_though_each_of_a_flood_comes_from_elsewhere(pairing: Pairing) -> None:
    """Each from a network of its own, so that none of them is of a larger kind than the honest one."""
    request, _ = pairing.ask(HONEST, "LIS", [Scope.BASIC])
    assert pairing.list_requests(request.code) == [request]
    for number in range(5000):
        network = f"{number % 100 + 11}.{number // 100 + 1}.7"
        pairing.ask(f"https://{network}.9", "x", [Scope.BASIC])
    assert pairing.find(request.code) is request and pairing.count == 4096


def test_forged_suffixes_of_another_user_crowd_out_only_that_user(pairing: Pairing) -> None:
    mine = [pairing.ask(f"https://a{number}.com", "x", [Scope.BASIC], user=1001)[0] for number in range(40)]
    for number in range(6000):
        pairing.ask(f"https://a.evil.t{number}", "x", [Scope.BASIC], user=1002)
    assert all(one.state == "waiting" for one in mine)
    assert {one.user for one in pairing.list_requests()} == {1001, 1002}


def test_what_is_shown_stays_where_it_stands(pairing: Pairing, clock: Clock) -> None:
    for number in range(3):
        clock.now += 1
        pairing.ask(f"https://a{number}.com", "x", [Scope.BASIC])
    first = pairing.list_requests()
    assert origins(first) == ["https://a0.com", "https://a1.com", "https://a2.com"]
    for number in range(3, 40):
        clock.now += 0.1
        pairing.ask(f"https://a{number}.com", "x", [Scope.BASIC])
    assert pairing.list_requests()[:3] == first
    pairing.deny(first[1].id)
    left = pairing.list_requests()
    assert left[:2] == [first[0], first[2]] and len(left) == MOST_SHOWN
    clock.now = 200
    assert pairing.list_requests() == []


def test_a_token_that_waits_is_not_lost_in_a_flood(pairing: Pairing, clock: Clock) -> None:
    asked, secret = pairing.ask(HONEST, "x", [Scope.BASIC])
    pairing.approve(asked.id, [Scope.BASIC])
    for wave in range(2):
        for number in range(5000):
            pairing.ask(f"https://a.evil{number}.w{wave}", "x", [Scope.BASIC])
        clock.now += 110
        pairing.waiting()
    clock.now = 239
    assert pairing.outcome(asked.id, secret, HONEST)[1]


def test_who_is_denied_waits_longer_each_time_and_is_forgiven_by_a_yes(pairing: Pairing, clock: Clock) -> None:
    waits = []
    for _ in range(5):
        asked, _ = pairing.ask("https://evil.com", "x", [Scope.BASIC])
        pairing.deny(asked.id)
        with pytest.raises(TooManyRequestsError) as refused:
            pairing.ask("https://other.evil.com", "x", [Scope.BASIC])
        assert refused.value.retry_after is not None
        waits.append(refused.value.retry_after)
        clock.now += refused.value.retry_after + 60
    assert waits == sorted(waits) and waits[0] >= 60 and waits[-1] == 3601 and waits[0] * 3 < waits[1]
    asked, _ = pairing.ask("https://evil.com", "x", [Scope.BASIC])
    pairing.approve(asked.id, [Scope.BASIC])
    assert pairing.ask("https://www.evil.com", "x", [Scope.BASIC])


def test_a_page_that_was_pushed_out_is_told_that_its_time_is_over(bridge: Bridge) -> None:
    begun = [ask(bridge, f"https://{name}.evil.com").json() for name in ("a", "b", "c")]
    outcome = bridge.caller(begun[0]["secret"], "https://a.evil.com").get(f"/v1/pairing/{begun[0]['request']}")
    assert outcome.json()["state"] == "expired"


def test_the_console_is_told_of_few(pairing: Pairing) -> None:
    told: list[str] = []
    pairing.on_asked.append(lambda request: told.append(request.origin))
    for number in range(100):
        pairing.ask(f"https://a.evil{number}.com", "x", [Scope.BASIC])
    assert told == [f"https://a.evil{number}.com" for number in range(8)]
