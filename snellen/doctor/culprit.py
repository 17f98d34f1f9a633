"""Names the guilty samples."""

from typing import Any


class Search:
    """Searches once."""

    def __init__(self, engine: Any, doc: Any) -> None:
        self.engine, self.doc = engine, doc
        self.loss_fn: Any = None

    def nonfinite(self, what: str, feed: Any, loss: Any) -> None:
        """Something is no longer finite."""
        self.engine.emit("nonfinite", self.engine.step, values={"what": what})

    def finish(self, error: Any) -> None:
        """The training is over."""
