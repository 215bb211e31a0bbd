"""What can be a target: its URL, its headers, what its host is called."""

import pytest

from app.core.target import bound_to, header_problem, host_of, hosts_meant, template_problems, url_problem

GOOD_URLS = [
    "http://example.com",
    "https://example.com/",
    "https://example.com:8443/a/b?c=d&e",
    "https://example.com/{{ execution_id }}?at={{ scheduled_for }}",
    "https://example.com/{{execution_id}}",
    "http://[2001:4860::1]:8080/x",
    "http://[2001:4860::1]",
    "http://[2001:4860::1]?a=[b]",
    "http://example.com/a[b]",
    "https://bücher.example/ä",
    "https://example.com/~a/(b)/c;d=1,2?q=a+b|c",
]
BAD_URLS = {
    "": "must begin with",
    "example.com": "must begin with",
    "//example.com": "must begin with",
    "ftp://example.com": "must begin with",
    "file:///etc/passwd": "must begin with",
    "HTTP://example.com": "must begin with",
    "javascript:alert(1)": "must begin with",
    "http://": "must be http",
    "http:///path": "must be http",
    "http://:80/": "must be http",
    "http://example.com:0/": "must be http",
    "http://example.com:65536/": "is no URL",
    "http://example.com:port/": "is no URL",
    "http://[::1/": "is no URL",
    "http://[v1.example]/": "brackets stand around a whole IPv6 address",
    "http://[2001:4860::1]evil/": "is no URL",
    "http://[2001:4860::1]evil:80/": "is no URL",
    "http://[2001:4860::1].evil.example": "is no URL",
    "http://evil[2001:4860::1]/": "is no URL",
    "http://[2001:4860::1]]?a=b": "is no URL",
    "http://[[2001:4860::1]/": "is no URL",
    "http://user@example.com/": "no credentials",
    "http://user:password@example.com/": "no credentials",
    "http://example.com@evil.example/": "no credentials",
    "http://example.com/#here": "no fragment",
    "http://example.com/a b": "no spaces",
    "http://example.com/a\nb": "no spaces",
    "http://example.com/\x00": "no spaces",
    "http://example.com\\@evil.example/": "no spaces",
    "http://{{ host }}/": "written out",
    "http://example.com:{{ port }}/": "written out",
    "http://a.{{ x }}.example/": "written out",
    "http://{{ a }}": "written out",
    "http://example.com{{ x }}/": "written out",
    "{{ url }}": "must begin with",
    "http://example.com/" + "x" * 2048: "at most 2048",
}


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_url_of_a_target(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(("url", "why"), BAD_URLS.items())
def test_no_url_of_a_target(url: str, why: str) -> None:
    assert why in (url_problem(url) or "")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Example.COM/x", "example.com"),
        ("http://example.com:80", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("https://example.com:80/", "example.com:80"),
        ("http://127.0.0.1:8080/{{ x }}", "127.0.0.1:8080"),
        ("http://[2001:db8::1]/", "[2001:db8::1]"),
        ("http://[2001:db8::1]:81/", "[2001:db8::1]:81"),
        ("http://[::ffff:8.8.8.8]:81/", "8.8.8.8:81"),
        ("http://0x8.526344:81/", "8.8.8.8:81"),
    ],
)
def test_what_its_host_is_called(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "https://API.example.com/", "https://api.example.com./", "https://api%2eexample.com/", "https://%61pi.example.com",
        "https://\uff41pi.example.com/", "https://api\u3002example.com:443/", "https://a\ufe0fpi.example.com/",
    ],
)  # fmt: skip
def test_a_host_is_the_same_however_it_is_spelt(url: str) -> None:
    assert url_problem(url) is None
    assert host_of(url) == "api.example.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [("Authorization", "Bearer x"), ("X-Api-Key", ""), ("content-type", "text/plain"), ("x~!#$", "{{ execution_id }}")],
)
def test_a_header_that_can_be_set(name: str, value: str) -> None:
    assert header_problem(name, value) is None


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        *((name, "x", "set by this service") for name in (
            "Host", "content-length", "Idempotency-Key", "WEBHOOK-ID", "webhook-signature", "webhook-timestamp",
            "webhook-anything", "traceparent", "User-Agent",
        )),
        *((name, "x", "belongs to the connection") for name in (
            "Connection", "Transfer-Encoding", "TE", "Upgrade", "Trailer", "Keep-Alive", "Expect",
            "Proxy-Authorization",
        )),
        *((name, "x", "must be a token") for name in ("", "a b", "a:b", "ä", "a\r\nb", "a\n", "(a)")),
        *(("X", value, "visible ASCII") for value in (
            "a\r\nInjected: 1", "a\nb", "\x00", "é", " a", "a ", "a\tb", "\x7f",
        )),
        ("X", "a" * 8193, "at most 8192"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_set(name: str, value: str, why: str) -> None:
    problem = header_problem(name, value)
    assert problem is not None
    assert why in problem
    assert len(value) < 3 or value not in problem


def test_every_placeholder_that_is_not_known_is_told_with_its_field() -> None:
    texts = {"url": "http://h/{{ a }}", "body": {"x": ["{{ b }}"]}, "cancel_url": None, "other": "{{"}
    assert dict(template_problems(texts, {"a": 1})) == {
        "body": "there is no {{ b }}",
        "other": "'{{' begins no placeholder here: one is written {{ execution_id }}",
    }


def test_a_secret_belongs_to_its_header_and_host() -> None:
    same = bound_to("https://Example.com:8443/a", "X-Key")
    assert same == bound_to("https://example.com/b", "x-key")
    assert same != bound_to("https://example.org/a", "X-Key")
    assert same != bound_to("http://example.com/a", "X-Key")
    assert same != bound_to("https://example.com/a", "X-Other")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("example.com", ("example.com",)),
        ("Example.COM.", ("example.com",)),
        ("b\u00fccher.example", ("xn--bcher-kva.example",)),
        ("0x7f.1", ("127.0.0.1",)),
        ("[2001:4860::1]", ("[2001:4860::1]",)),
        ("example.com:8443", ("example.com:8443",)),
        ("[2001:4860::1]:8443", ("[2001:4860::1]:8443",)),
        # The one of http at this port, and the one of https, whose own it is.
        ("example.com:443", ("example.com:443", "example.com")),
        ("example.com:80", ("example.com", "example.com:80")),
    ],
)
def test_a_host_that_is_named_is_the_host_of_a_url(text: str, meant: tuple[str, ...]) -> None:
    assert sorted(hosts_meant(text)) == sorted(meant)
    assert {host_of(f"https://{text}/pay?a=b"), host_of(f"http://{text}")} == set(meant)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "https://example.com", "example.com/pay", "example.com?a=b", "example.com#a", "a@example.com"),
        *("example.com:0", "example.com:65536", "example.com:port", "{{ host }}", "[::1", "::1]", ":80", "a b"),
        *("a\\b", "a\nb", "x" * 3000, "*.example.com", "*"),
    ],
)
def test_what_is_no_host_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match="must be a host as it stands in a URL"):
        hosts_meant(text)
