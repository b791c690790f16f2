"""How good a loss, or a trained model, is: computed after training, never differentiated."""
