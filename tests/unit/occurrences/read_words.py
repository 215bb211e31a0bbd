"""A reader of descriptions: how often a day an expression fires, by what its words say and nothing else."""

import re

_ITEM = r"[0-9]+(?: to [0-9]+)?"
_LIST = rf"((?:{_ITEM}(?:, | and |, … ))*{_ITEM}(?: and so on up to [0-9]+| \([0-9]+ in all\))?)"
_CLOCK = r"([0-9]{2}):([0-9]{2})"
_TIMES = re.compile(r"at ((?:[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:, | and |$))+)")
_FORMS = {
    "second": (
        rf"at {_LIST} seconds? past the minute",
        r"seconds ([0-9]+ to [0-9]+) past the minute",
        r"every (?:([0-9]+) seconds|second)(?:, starting at ([0-9]+) seconds? past the minute)?",
    ),
    "minute": (
        rf"at {_LIST} minutes? past the hour",
        rf"(?:during )?minutes? {_LIST}(?: past the hour)?",
        r"during every ([0-9]+)(?:nd|rd|th) minute(?: from minute ([0-9]+))?",
        r"every (?:([0-9]+) minutes|minute)(?:, starting at ([0-9]+) minutes? past the hour)?",
    ),
    "hour": (
        rf"during hours? {_LIST}",
        r"(?:during|of) every ([0-9]+)(?:nd|rd|th) hour from ([0-9]+):00",
        r"every (?:([0-9]+) hours|hour)(?:, starting at ([0-9]+):00)?",
    ),
}
_SIZES = {"second": 60, "minute": 60, "hour": 24}


def runs_a_day(words: str) -> int:
    """How often a day it fires by these words, of which the days are left out.

    Where minutes are not mentioned, "every 3 hours" means once in three hours, and "during every 3rd hour" all through
    it. What is every so many minutes cannot be every so many hours as well.
    """
    text = words[:1].lower() + words[1:]
    if times := _TIMES.fullmatch(text):
        return len(re.findall(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?", times[1]))
    if within := re.fullmatch(rf"every (minute|hour)(?: between| from) {_CLOCK} (?:and|to) {_CLOCK}", text):
        from_hour, from_minute, to_hour, to_minute = map(int, within.groups()[1:])
        minutes = (to_hour - from_hour) * 60 + to_minute - from_minute
        return 1 + (minutes if within[1] == "minute" else minutes // 60)
    numbers: dict[str, int] = {}
    forms: dict[str, str] = {}
    text, is_between = re.subn(rf", between {_CLOCK} and {_CLOCK}$", "", text)
    if is_between:
        (first, opens), (last, ends) = re.findall(_CLOCK, words)[-2:]
        assert (opens, ends) == ("00", "59"), words
        numbers["hour"] = int(last) - int(first) + 1
    if text.startswith("every hour, during hours "):
        numbers["minute"], text = 1, text.removeprefix("every hour")
    for unit, size in _SIZES.items():
        for form in _FORMS[unit]:
            if found := re.match(rf"(?:, | )?{form}(?=,| of |$)", text):
                numbers[unit], forms[unit], text = _number(found, size), found[0].lstrip(", "), text[found.end() :]
                break
    assert not text, f"{text!r} of {words!r} is not read"
    is_once_in_hours = re.match("every [0-9]+ hours", forms.get("hour", "")) is not None
    assert not (is_once_in_hours and forms.get("minute", "").startswith("every")), words
    seconds, hours = numbers.get("second", 1), numbers.get("hour", 24)
    return seconds * numbers.get("minute", 60 if "second" in numbers and not is_once_in_hours else 1) * hours


def _number(found: re.Match[str], size: int) -> int:
    first, *rest = found.groups()
    if rest:
        step = int(first or 1)
        return len(range(int(rest[0] or 0), size, step))
    if in_all := re.search(r"\(([0-9]+) in all\)", first):
        return int(in_all[1])
    if up_to := re.fullmatch(r"([0-9]+), ([0-9]+), [0-9]+ and so on up to ([0-9]+)", first):
        low, following, high = map(int, up_to.groups())
        return (high - low) // (following - low) + 1
    parts = [tuple(map(int, part.split(" to "))) for part in re.split(", | and ", first)]
    return sum(part[-1] - part[0] + 1 for part in parts)
