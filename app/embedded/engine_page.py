"""The demo engine's page: what it was sent, newest first, readable without a script."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import orjson

SHOWN = 100
_REFRESH_SECONDS = 2
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #d8dee4 }
td { font-variant-numeric: tabular-nums }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; max-height: 14rem; overflow: auto }
p { color: #57606a }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3 } th, td { border-color: #30363d } p { color: #8d96a0 }
}
"""


def page(items: Sequence[Mapping[str, Any]], *, kept: int) -> str:
    """A whole HTML document of the newest of `kept` requests; everything that was received is escaped."""
    rows = "".join(_row(item) for item in items)
    shown = (
        f"<table><thead><tr><th>Received (UTC)<th>Late by<th>Trigger<th>Idempotency-Key<th>Body</thead>{rows}</table>"
        if rows
        else "<p>Nothing yet: create a schedule, and what it sends appears here.</p>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Demo workflow engine</title><style>{_STYLE}</style></head><body>"
        "<h1>Demo workflow engine</h1>"
        f"<p>{kept} requests kept, the newest {len(items)} below. As JSON: <code>GET /received</code>.</p>"
        f"{shown}</body></html>"
    )


def _row(item: Mapping[str, Any]) -> str:
    body = item["body"]
    fields = body if isinstance(body, dict) else {}
    text = body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    cells = (
        item["received_at"],
        _late_by(item["received_at"], fields.get("scheduled_for")),
        fields.get("trigger", ""),
        item["headers"].get("idempotency-key", ""),
    )
    return (
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + f"<td><pre>{escape(text)}</pre></td></tr>"
    )


def _late_by(received_at: str, scheduled_for: object) -> str:
    """In milliseconds; empty where the body does not say when it was due."""
    try:
        late = datetime.fromisoformat(received_at) - datetime.fromisoformat(str(scheduled_for))
    except (ValueError, TypeError):
        return ""
    return f"{late.total_seconds() * 1000:.0f} ms"
