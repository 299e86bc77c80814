"""What a person is told of a site: the part of its name that counts, and what it can be taken for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.gate.origin_advice import shown_origin
from service.gate.origin_syntax import is_origin
from service.gate.pairing import presentable
from service.gate.scopes import DEFAULT_SCOPES, Scope
from service.sites.confusables import skeleton
from service.sites.labels import mixed_scripts, readable
from service.sites.resemblance import KnownSite, remarks
from service.sites.similarity import changes
from service.sites.site import Site
from tests.unit.service.bridge import Bridge

HIS = KnownSite("https://his.example-hospital.cn", "示例医院 HIS")


def encoded(label: str) -> str:
    """A label in other letters, as browsers send it."""
    return f"xn--{label.encode('punycode').decode('ascii')}"


@pytest.mark.parametrize(
    ("origin", "before", "registrable", "port"),
    [
        ("https://his.example-hospital.cn", "his.", "example-hospital.cn", ""),
        ("https://his.example-hospital.cn.login.evil.com:8443", "his.example-hospital.cn.login.", "evil.com", ":8443"),
        ("https://a.b.com.cn", "a.", "b.com.cn", ""),
        ("https://a.b.gov.cn", "a.", "b.gov.cn", ""),
        ("https://a.b.bj.cn", "a.", "b.bj.cn", ""),
        ("https://a.b.xn--55qx5d.cn", "a.", "b.xn--55qx5d.cn", ""),
        ("https://a.xn--fct06i.xn--fiqs8s", "a.", "xn--fct06i.xn--fiqs8s", ""),
        ("https://www.city.kobe.jp", "www.", "city.kobe.jp", ""),
        ("https://a.b.c.kobe.jp", "a.", "b.c.kobe.jp", ""),
        ("https://a.b.github.io", "a.", "b.github.io", ""),
        ("https://com.cn", "", "com.cn", ""),
        ("http://10.1.2.3:8080", "", "10.1.2.3", ":8080"),
        ("http://[2001:db8::1]:8080", "", "[2001:db8::1]", ":8080"),
        ("http://[2001:db8::1]", "", "[2001:db8::1]", ""),
        ("http://localhost:3000", "", "localhost", ":3000"),
        ("http://his", "", "his", ""),
        ("http://a.his.local", "a.", "his.local", ""),
        ("app://his.example.cn", "", "his.example.cn", ""),
        ("https://a..b.com", "", "a..b.com", ""),
        ("http://1.2.3", "", "1.2.3", ""),
    ],
)  # fmt: skip
def test_the_part_that_tells_whose_site_it_is(origin: str, before: str, registrable: str, port: str) -> None:
    site = Site.of(origin)
    assert (site.before, site.registrable, site.port) == (before, registrable, port)
    assert f"{site.scheme}://{site.before}{site.registrable}{site.port}" == origin


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("xn--fiqs8s", "中国"),
        ("xn--80ak6aa92e", "аррӏе"),
        ("xn--mgberp4a5d4ar", "السعودية"),
        ("xn--a", "xn--a"),
        ("xn--0", "xn--0"),
        ("xn--", "xn--"),
        ("xn--99999999999", "xn--99999999999"),
        (encoded("ab\u202ec"), encoded("ab\u202ec")),
        (encoded("a\u200db"), encoded("a\u200db")),
        (encoded("a\u3164b"), encoded("a\u3164b")),
        (encoded("\u0301a"), encoded("\u0301a")),
        (encoded("a／b"), encoded("a／b")),
        (encoded("abc🏥"), encoded("abc🏥")),
        ("hospital", "hospital"),
    ],
)  # fmt: skip
def test_names_in_other_letters_are_shown_where_that_is_safe(label: str, shown: str) -> None:
    assert readable(f"a.{label}.cn") == f"a.{shown}.cn"


@pytest.mark.parametrize(
    ("label", "scripts"),
    [
        ("еxample", ("CYRILLIC", "LATIN")),
        ("exαmple", ("GREEK", "LATIN")),
        ("ехаmрlе", ("CYRILLIC", "LATIN")),
        ("示例abc", ()),
        ("アイ示例a", ()),
        ("示例кириллица", ("CYRILLIC", "HAN")),
        ("пример", ()),
        ("пример-123", ()),
    ],
)
def test_mixed_scripts_are_called_out(label: str, scripts: tuple[str, ...]) -> None:
    assert mixed_scripts(f"{encoded(label)}.cn") == scripts


def test_texts_that_look_alike_have_one_skeleton() -> None:
    # Pairs of UTS #39's own table (confusables.txt), by hand.
    for one, other in (("раураl", "paypal"), ("exarnple", "example"), ("examp1e", "example"), ("g00gle", "google"),
                       ("ｈｉｓ", "his"), ("h\u200di\u200ds", "his"), ("vvv", "wv"), ("clinic", "dinic"),
                       ("カ", "力")):  # fmt: skip
        assert skeleton(one) == skeleton(other), (one, other)
    for one, other in (("his", "lis"), ("示例", "实例"), ("example", "sample")):
        assert skeleton(one) != skeleton(other), (one, other)


def test_changes_are_counted_by_hand() -> None:
    for one, other, count in (
        ("abc", "abc", 0),
        ("abc", "abd", 1),
        ("abc", "acb", 1),
        ("abc", "ab", 1),
        ("ab", "cd", 2),
    ):
        assert changes(one, other, 2) == changes(other, one, 2) == count
    assert changes("hospital", "banana", 2) == 3


@pytest.mark.parametrize(
    ("origin", "name", "code"),
    [
        ("https://his.example-hospital.cn.login.evil.com", "", "contains"),
        ("https://his-example-hospital-cn.evil.com", "", "contains"),
        ("https://his.examplehospital.cn.evil.com", "", "contains"),
        ("https://example-hospital.evil.com", "", "contains"),
        ("https://login-example-hospital.cn", "", "contains"),
        ("https://his.example-hospital.com.evil.cn", "", "contains"),
        ("https://example-hospital2.cn", "", "contains"),
        ("https://his.examp1e-hospital.cn.evil.com", "", "contains"),
        ("https://example-hospital.com", "", "other-suffix"),
        ("https://his.example-hospital.com.cn", "", "other-suffix"),
        ("https://example-hospital.github.io", "", "other-suffix"),
        ("https://his.examp1e-hospital.cn", "", "confusable"),
        ("https://exarnple-hospital.cn", "", "confusable"),
        (f"https://his.{encoded('ехаmрlе-hоsріtаl')}.cn", "", "confusable"),
        (f"https://{encoded('еxample-hospital')}.com", "", "confusable"),
        ("https://his.exmaple-hospital.cn", "", "close"),
        ("https://example-hospitl.cn", "", "close"),
        ("https://exemple-hospital.evil.com", "", "close"),
        ("https://www.loginexamplehospitel.com", "", "close"),
        ("https://evil.com", "示例医院 HIS", "same-name"),
        ("https://evil.com", "示例医院　ＨＩＳ 登录", "same-name"),
        ("https://evil.com", "示例医院", "same-name"),
        ("https://evil.com", "his.example-hospital.cn", "same-name"),
        ("https://lis.example-hospital.cn", "", "same-site"),
        ("http://his.example-hospital.cn", "", "same-site"),
        ("https://his.example-hospital.cn:8443", "", "same-site"),
    ],
)  # fmt: skip
def test_what_can_be_taken_for_a_known_site_is_said(origin: str, name: str, code: str) -> None:
    assert is_origin(origin)
    first = remarks(Site.of(origin), name, [HIS])[0]
    assert (first.code, first.resembles) == (code, HIS.origin)
    assert HIS.origin in first.words and HIS.origin in first.words_en


@pytest.mark.parametrize(
    ("known", "origin", "code"),
    [
        ("renmin-hospital.cn", "r3nm1n-h0sp1t4l.cn", "close"),
        ("renmin-hospital.cn", "r3nm1n-h0sp1t4l.login.evil.com", "close"),
        ("renmin-hospital.cn", "his.7e5t.renm1nho5p1tal-his.com", "close"),
        ("renmin-hospital.cn", "renmln-hospltai.cn", "close"),
        ("example-hospital.cn", "exapmle-hosiptal.cn", "close"),
        ("b5t.cn", "bst.evil.cn", "close"),
        ("his", "h1s", "close"),
        ("his", "hls", "close"),
        ("his", "lis", None),
        ("示例医院.中国", "示例医院登录.中国", "contains"),
        ("示例医院.中国", "示例医院-his.cn", "contains"),
        ("协和.中国", "协和医院.cn", "contains"),
        ("协和.中国", "his-协和.evil.cn", "contains"),
        ("协和.中国", "和平.中国", None),
        ("医.中国", "医院.中国", None),
    ],
)  # fmt: skip
def test_digits_for_letters_and_chinese_names_are_recognised(known: str, origin: str, code: str | None) -> None:
    first, other = (
        "https://" + ".".join(label if label.isascii() else encoded(label) for label in host.split("."))
        for host in (known, origin)
    )
    assert is_origin(first) and is_origin(other)
    found = [one.code for one in remarks(Site.of(other), "", [KnownSite(first)]) if one.resembles]
    assert found == ([code] if code else [])


@pytest.mark.parametrize(
    ("name", "resembles"),
    [
        ("示例人民醫院", True),
        ("示例人民医阮（收费）", False),
        ("示例人民医阮", True),
        ("示例 人民 医浣", True),
        ("人民医院", True),
        ("中心医院", False),
    ],
)
def test_a_name_that_is_nearly_anothers_is_said(name: str, resembles: bool) -> None:
    known = KnownSite("https://his.example.cn", "示例人民医院")
    found = [one.code for one in remarks(Site.of("https://evil.com"), name, [known])]
    assert found == (["same-name"] if resembles else [])


@pytest.mark.parametrize(
    "host", ["1ocalhost.evil.com", "loca1host.cn", "127.0.0.l.evil.com", "127.O.0.1.evil.com".lower()]
)
def test_what_looks_like_this_computer_and_is_not_is_said(host: str) -> None:
    assert "contains" in [one.code for one in remarks(Site.of(f"https://{host}"), "", [])]


@pytest.mark.parametrize(
    ("known", "origin", "code"),
    [
        ("http://10.1.2.3:8080", "https://10.1.2.3.evil.com", "contains"),
        ("http://10.1.2.3:8080", "https://10-1-2-3.evil.com", "contains"),
        ("http://10.1.2.3:8080", "http://10.1.2.4:8080", "close"),
        ("http://10.1.2.3:8080", "http://10.1.2.3", "same-site"),
        ("http://hisserver", "http://hisservr", "close"),
        ("http://hisserver", "https://hisserver.evil.com", "contains"),
        ("https://rmyy.cn", "https://rmyy.evil.com", "contains"),
        ("https://rmyy.cn", "https://rmyy.com", "other-suffix"),
        ("https://rmyy.cn", "https://rmyv.cn", "close"),
        ("https://a.github.io", "https://b.github.io", None),
        ("https://his.cn", "https://his.other-hospital.cn", "contains"),
        ("http://10.1.2.3", "http://10.99.2.3", None),
        ("https://rmyy.cn", "https://www.other.com", None),
    ],
)  # fmt: skip
def test_short_names_and_addresses_are_compared_as_a_whole(known: str, origin: str, code: str | None) -> None:
    found = [one.code for one in remarks(Site.of(origin), "", [KnownSite(known)]) if one.resembles]
    assert found == ([code] if code else [])


@pytest.mark.parametrize("origin", ["https://www.other.com", "https://his.other-hospital.org", "https://hospital.cn"])
def test_what_resembles_nothing_is_left_in_peace(origin: str) -> None:
    assert (
        remarks(Site.of(origin), "检验", [HIS, KnownSite("http://10.1.2.3"), KnownSite("https://pay.example.net")])
        == ()
    )


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("http://10.1.2.3", "plain-http"),
        ("http://his.cn", "plain-http"),
        ("http://localhost.evil.com", "contains"),
        ("https://127.0.0.1.evil.com", "contains"),
        (f"https://{encoded('еxample')}.cn", "mixed-scripts"),
        ("https://xn--80ak6aa92e.com", "foreign-letters"),
    ],
)
def test_what_is_to_be_said_of_an_address_alone(origin: str, code: str) -> None:
    assert code in [one.code for one in remarks(Site.of(origin), "", [])]


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:80800"[:-1], "app://his"]
)
def test_this_computer_needs_no_https(origin: str) -> None:
    assert remarks(Site.of(origin), "", []) == ()


def test_a_name_is_fit_to_be_shown_beside_others() -> None:
    assert presentable("a" + "\u0301" * 30 + "b") == "á\u0301\u0301b"
    assert presentable("\u2066\u202e\u200b示例\u2069\u0007") == "示例"
    assert len(presentable("🏥" * 200)) == 40


def test_the_end_of_a_long_address_is_never_cut() -> None:
    long = f"https://{'his.example-hospital.cn.' * 9}evil.com"
    assert is_origin(long) and shown_origin(long) == long
    no_origin = f"https://{'his.example-hospital.cn/' * 90}evil.com"
    assert shown_origin(no_origin).endswith("evil.com") and len(shown_origin(no_origin)) <= 81


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    made = Bridge(trusted={HIS.origin: DEFAULT_SCOPES}, scopes=frozenset(Scope))
    yield made
    made.stop()


def test_letters_from_right_to_left_are_not_shown_among_others(bridge: Bridge) -> None:
    """On the screen `X.evil.com` would stand as `evil.com.X`."""
    origin = f"https://{encoded('שלום')}.evil.com"
    bridge.caller(None, origin).post("/v1/pairing", json={"name": "x", "scopes": ["basic"]})
    (one,) = bridge.client.get("/v1/pairing").json()["requests"]
    assert (one["site"]["before"], one["site"]["registrable"], one["site"]["readable"]) == (
        f"{encoded('שלום')}.", "evil.com", None,
    )  # fmt: skip


def test_the_list_tells_it(bridge: Bridge) -> None:
    origin = f"https://his.example-hospital.cn.login.{encoded('злой')}.com:8443"
    body = {"name": "示例医院 HIS", "scopes": ["basic", "files", "pin", "write", "settle", "apdu"]}
    bridge.caller(None, origin).post("/v1/pairing", json=body)
    (one,) = bridge.client.get("/v1/pairing").json()["requests"]
    assert one["site"] == {
        "scheme": "https", "before": "his.example-hospital.cn.login.", "registrable": f"{encoded('злой')}.com",
        "port": ":8443", "readable": "his.example-hospital.cn.login.злой.com",
    }  # fmt: skip
    assert [(said["code"], said["resembles"]) for said in one["remarks"]] == [("contains", HIS.origin)]
    assert one["harmless"] == ["basic", "files", "apdu"]
    bridge.client.post(f"/v1/pairing/{one['request']}/approve", json={"scopes": one["harmless"]})
    (grant,) = [grant for grant in bridge.client.get("/v1/grants").json()["grants"] if grant["kind"] == "page"]
    assert grant["site"] == one["site"] and grant["scopes"] == one["harmless"]
    # What was paired is known from now on, by the name that it gave itself.
    bridge.caller(None, "https://third.com").post("/v1/pairing", json=body)
    (other,) = bridge.client.get("/v1/pairing").json()["requests"]
    assert [(said["code"], said["resembles"]) for said in other["remarks"]] == [("same-name", origin)]
