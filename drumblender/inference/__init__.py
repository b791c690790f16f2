"""Play a trained model."""
