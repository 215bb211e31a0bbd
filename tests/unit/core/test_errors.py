"""The tree of errors: drawn as it is, each with a name that clients can rely on."""

import re

import pytest

from app.core import errors
from app.core.errors import FieldProblem, InvalidScheduleException, ScheduleServiceException


def _all(root: type[ScheduleServiceException]) -> list[type[ScheduleServiceException]]:
    return [root, *(found for child in root.__subclasses__() for found in _all(child))]


TREE = [found for found in _all(ScheduleServiceException) if found.__module__ == errors.__name__]


def _drawn() -> dict[str, str | None]:
    """Each name of the drawing with its parent's."""
    parents: dict[str, str | None] = {}
    line_of: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([ │├└─]*)(\w+Exception)\b", line)
        if match is None or not line.startswith("    "):
            continue
        depth = len(match[1])
        line_of = [(other, name) for other, name in line_of if other < depth]
        parents[match[2]] = line_of[-1][1] if line_of else None
        line_of.append((depth, match[2]))
    return parents


def test_the_tree_is_the_one_that_is_drawn() -> None:
    real = {one.__name__: None if one is ScheduleServiceException else one.__bases__[0].__name__ for one in TREE}
    assert _drawn() == real
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(real)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [one.code for one in TREE]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Z]+(_[A-Z]+)*", code) for code in codes)
    assert all("code" in vars(one) for one in TREE)


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_the_title_is_the_docstring_and_the_detail_the_message(error: type[ScheduleServiceException]) -> None:
    raised = error("what happened")
    assert raised.title == (error.__doc__ or "").strip()
    assert "\n" not in raised.title
    assert not raised.title.endswith(".")
    assert (str(raised), raised.detail, raised.errors) == ("what happened", "what happened", ())


def test_a_refusal_carries_every_refused_field() -> None:
    problems = [FieldProblem("name", "name is too long"), FieldProblem("retry.max_retries", "is 0-100")]
    raised = InvalidScheduleException.of_all(problems)
    assert raised.errors == tuple(problems)
    assert all(problem.message in raised.detail for problem in problems)
    single = InvalidScheduleException.of("name", "name is too long")
    assert single.errors == (FieldProblem("name", "name is too long"),)
