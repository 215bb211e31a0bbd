"""A run's outcome, to be read and to be quoted."""

from dataclasses import asdict
from typing import Any

import orjson

from tests.chaos.storm import Outcome

_SAID = 200


def as_json(outcome: Outcome) -> str:
    """All of it, but at most the first two hundred broken promises."""
    return orjson.dumps(_values(outcome), option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n"


def as_markdown(outcome: Outcome) -> str:
    """A table of the counts, and one of the faults."""
    verdict, weather = outcome.verdict, outcome.weather
    counts: list[tuple[str, object]] = [
        ("seed", weather.seed),
        ("seconds", f"{weather.seconds:.0f}"),
        ("faults", outcome.faults.total()),
        ("occurrences", verdict.occurrences),
        ("records", verdict.records),
        ("deliveries", verdict.deliveries),
        ("requests of callers answered", sum(n for status, n in outcome.acknowledged.requests.items() if status)),
        ("lost", verdict.lost),
        ("recorded twice", verdict.recorded_twice),
        ("unfinished at the end", verdict.unfinished),
        ("early", verdict.early),
        ("processes that exited by themselves", len(outcome.exits)),
        ("times the target stood still by itself", len(outcome.stalls)),
        ("delivered again", verdict.delivered_again),
        *((f"… because {why}", number) for why, number in sorted(verdict.explained.items())),
        ("… without a reason", verdict.unexplained),
        ("broken promises", len(verdict.violations)),
    ]
    return "\n".join(
        [
            "| what | how many |",
            "| --- | --- |",
            *(f"| {what} | {number} |" for what, number in counts),
            "",
            "| fault | times |",
            "| --- | --- |",
            *(f"| {name} | {number} |" for name, number in sorted(outcome.faults.items())),
            "",
        ]
    )


def _values(outcome: Outcome) -> dict[str, Any]:
    verdict = asdict(outcome.verdict)
    verdict["violations"] = outcome.verdict.violations[:_SAID]
    return {
        "weather": asdict(outcome.weather),
        "faults": dict(sorted(outcome.faults.items())),
        "verdict": verdict,
        "requests": outcome.acknowledged.requests,
        "stalls_seconds": [round((one.until_ms - one.from_ms) / 1000, 2) for one in outcome.stalls],
        "exits": [asdict(one) for one in outcome.exits],
        "calm_seconds": round(outcome.calm_seconds, 1),
    }
