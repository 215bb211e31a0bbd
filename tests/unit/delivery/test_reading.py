"""What answers cost who reads them; that they are read aright, `tests/integration/delivery` says."""

import time
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


def test_ten_times_as_many_interim_answers_take_ten_times_as_long() -> None:
    """All that this process sends to others waits while they are read."""
    interim, answer = b"HTTP/1.1 103 %b\r\n\r\n" % (b"a" * 300), b"HTTP/1.1 204 No\r\n\r\n"

    def seconds(number: int) -> float:
        reader = AnswerReader()
        reader.begin(keep_headers=False, misled=False)
        began = time.thread_time()
        assert reader.feed(interim * number + answer)
        return time.thread_time() - began

    few, many = (min(seconds(number) for _ in range(20)) for number in (19, 190))
    assert many < 30 * few
