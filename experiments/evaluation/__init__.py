"""Whether a distance of sets of sounds grows when sounds get worse."""
