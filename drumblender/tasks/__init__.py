"""LightningModules: join parts, step, log."""
