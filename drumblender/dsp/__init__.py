"""Pure functions on tensors: tensors and numbers in, tensors out, one idea a file."""
