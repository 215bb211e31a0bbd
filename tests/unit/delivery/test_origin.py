"""What is asked for of a URL."""

import pytest

from app.delivery.origin import split_url


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://hooks.example", "/"),
        ("https://hooks.example?q=1", "/?q=1"),
        ("https://hooks.example/a/b;c=1,2?q=%7B%7D&r[]=~$!*'()+:@", "/a/b;c=1,2?q=%7B%7D&r[]=~$!*'()+:@"),
        # What no URL may hold is written as what may be (RFC 3986, 2.1).
        ('https://hooks.example/x?q={"a":1}', "/x?q=%7B%22a%22:1%7D"),
        ("https://hooks.example/<a>^`|", "/%3Ca%3E%5E%60%7C"),
        ("https://hooks.example/ä b", "/%C3%A4%20b"),
    ],
)
def test_the_path_and_query_are_asked_for_as_http_can_carry_them(url: str, asked: str) -> None:
    assert split_url(url)[1] == asked
