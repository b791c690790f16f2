"""All drums, presets and seeds of a timbre-remapping study, trained as one ensemble, and its tables."""
