"""How far apart sounds are, how well a loss leads, and pages on which people hear it."""
