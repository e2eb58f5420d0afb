"""Tasks: LightningModules that own loss, metrics and optimiser, and no architecture."""
