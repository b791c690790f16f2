"""The two studies of the strings: trained models over a test split, and single notes fitted by search."""
