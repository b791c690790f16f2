"""How far apart two sets of sounds are, and pages on which people hear it."""
