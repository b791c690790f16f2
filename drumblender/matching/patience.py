"""When a search has waited long enough."""


class Patience:
    """Says when the loss has not fallen by more than ``min_delta`` for ``patience`` rounds."""

    def __init__(self, patience: int, min_delta: float) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.best, self.waited = float("inf"), 0

    def is_over(self, loss: float) -> bool:
        """To be told the lowest loss after every round."""
        if self.best - loss > self.min_delta:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        return self.waited >= self.patience
