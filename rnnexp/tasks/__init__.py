"""Tasks: one folder each, with its spec, data module, network, LightningModule, metrics, baselines,
figures and answers."""
