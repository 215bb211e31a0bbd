"""uvicorn without its own signal handlers: the process it serves in decides when it ends, and with which status."""

from contextlib import AbstractContextManager, nullcontext

import uvicorn


class QuietServer(uvicorn.Server):
    """A server that ends when `finish` is called; it then closes its listener and lets requests under way end.

    Its configuration has `log_config=None`: uvicorn's own prints past `app.logs`, which would say it as an event.
    """

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Nothing: uvicorn would raise the signal again after the shutdown, and the process would not exit with 0."""
        return nullcontext()

    def finish(self) -> None:
        """Accept no more; a second call does not wait for what is under way."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
