"""What is kept of answers by who reads them; that they are read aright, `tests/integration/delivery` says."""

import tracemalloc

from app.delivery.reading import AnswerReader


def test_nothing_is_kept_of_an_answer_that_is_over() -> None:
    """A connection may stay open behind it for long, and there may be thousands."""
    chunk = b"x" * 1_000
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n%b\r\n" % chunk * 60 + b"0\r\n\r\n"
    readers = [AnswerReader() for _ in range(10)]
    tracemalloc.start()
    try:
        for reader in readers:
            reader.begin(keep_headers=False, misled=False)
            assert reader.feed(answer)
            assert reader.reply().body == chunk * 60
            assert reader.keep_alive
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < len(answer)
