"""A search over hyperparameters with Optuna: its space, its study, its trials and its report."""
