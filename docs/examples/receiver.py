"""A target: checks the signature, takes each execution once, answers, and works afterwards.

pip install fastapi uvicorn standardwebhooks
WEBHOOK_SIGNING_SECRET=whsec_… uvicorn receiver:app
"""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SIGNING_SECRET"])
runs = sqlite3.connect(os.environ.get("RUNS", "runs.db"), isolation_level=None, check_same_thread=False)
runs.execute("CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, body TEXT, done INTEGER DEFAULT 0)")


def work(run: str, body: str) -> None:
    """What is to be done once; should it end halfway, it is begun again at the next start."""
    print("working on", run, body, flush=True)
    runs.execute("UPDATE runs SET done = 1 WHERE id = ?", [run])


@asynccontextmanager
async def unfinished(_app: FastAPI) -> AsyncIterator[None]:
    for run, body in runs.execute("SELECT id, body FROM runs WHERE NOT done").fetchall():
        work(run, body)
    yield


app = FastAPI(lifespan=unfinished)


@app.post("/run", status_code=202)
async def take(request: Request, later: BackgroundTasks) -> None:
    body = await request.body()
    try:
        webhook.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):
        raise HTTPException(401) from None
    run, text = request.headers["webhook-id"], body.decode()
    # On disk before the answer; a second delivery finds the row, and is answered like the first.
    if runs.execute("INSERT OR IGNORE INTO runs (id, body) VALUES (?, ?)", [run, text]).rowcount:
        later.add_task(work, run, text)
