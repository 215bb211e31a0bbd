"""Errors as problem details."""

import orjson
import pytest

from app.api import problems
from app.api.problems import problem_response, refusal, status_of
from app.core import errors
from app.core.errors import FieldProblem, InvalidScheduleException, MalformedRequestException, ScheduleServiceException


def every_error(root: type[ScheduleServiceException]) -> list[type[ScheduleServiceException]]:
    found = [root, *(each for derived in root.__subclasses__() for each in every_error(derived))]
    # Not those of the development servers, which no request meets.
    return [kind for kind in found if kind.__module__.startswith(("app.core", "app.api"))]


def test_every_error_that_callers_can_meet_has_a_status_of_its_own() -> None:
    internal = {ScheduleServiceException, errors.ConfigurationException, problems.InternalException}
    for kind in every_error(ScheduleServiceException):
        error = kind([]) if kind is problems.MethodNotAllowedException else kind("x")
        assert (status_of(error) == 500) is (kind in internal), kind


def test_every_code_is_one_errors_alone() -> None:
    codes = [kind.code for kind in every_error(ScheduleServiceException)]
    assert len(codes) == len(set(codes))


def test_a_wrong_type_decides_and_both_kinds_are_named() -> None:
    wrong, refused = [FieldProblem("a", "must be x")], [FieldProblem("b", "b is bad")]
    assert refusal([], []) is None
    assert isinstance(refusal([], refused), InvalidScheduleException)
    both = refusal(wrong, refused)
    assert isinstance(both, MalformedRequestException)
    assert both.errors == (*wrong, *refused)
    assert both.detail == "a must be x; b is bad"
    named = refusal([], [FieldProblem("m", "must be y"), FieldProblem("r.m", "m: is bad")])
    assert named is not None
    assert named.detail == "m must be y; m: is bad"


def test_a_flood_of_mistakes_gives_a_short_answer() -> None:
    error = refusal([FieldProblem(f"{number}" * 10_000, "y" * 10_000) for number in range(1000)], [])
    assert error is not None
    assert len(problem_response(error, "id").body) < 110_000


@pytest.mark.parametrize("text", ["\ud800", "\x00", "a\nb", "\u2028", "é" * 2000])
def test_a_callers_own_text_neither_breaks_nor_floods_the_answer(text: str) -> None:
    body = problem_response(InvalidScheduleException.of(text, text), "id").body
    shown = orjson.loads(bytes(body))
    assert len(shown["detail"]) <= 500
    assert "\n" not in shown["detail"]
