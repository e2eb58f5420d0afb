"""From overrides to a config (compose), and from a config to objects (check, instantiate).

A config may come from a stranger: every `_target_` is compared with an allow-list (targets) before
anything is imported, and its keys and values with the signature of the class (signatures).
"""

from rnnexp.config.compose import HYDRA_VERSION_BASE, compose, help_text, options, override
from rnnexp.config.instantiate import check, instantiate
from rnnexp.config.recorded import check_recorded, recorded
from rnnexp.config.schema import TOP_LEVEL
from rnnexp.config.search_path import config_dir
from rnnexp.config.signatures import refuse_supplied

__all__ = [
    "HYDRA_VERSION_BASE",
    "TOP_LEVEL",
    "check",
    "check_recorded",
    "compose",
    "config_dir",
    "help_text",
    "instantiate",
    "options",
    "override",
    "recorded",
    "refuse_supplied",
]
