"""Tasks: one folder each, with the spec, data module, network, LightningModule, metrics, baselines,
figures and predictions for new data."""
