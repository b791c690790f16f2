"""The evaluation of drum models over all subsets of the data, and its tables."""
