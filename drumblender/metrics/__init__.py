"""torchmetrics, never differentiated."""
