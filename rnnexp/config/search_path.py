"""Where configs are looked for: our own folder, then the user's."""

from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

PACKAGE = Path(__file__).resolve().parents[1]


def config_dir() -> Path:
    """The folder of YAML files: beside the package in a checkout, inside it once installed."""
    inside, beside = PACKAGE / "conf", PACKAGE.parent / "conf"
    return inside if (inside / "train.yaml").is_file() else beside


class UserFolders(SearchPathPlugin):
    """Adds folders of the user's: they add options, ours stay as they are.

    folders: empty but while rnnexp composes, for a plugin has a say in whatever else uses Hydra in
    this process.
    """

    folders: ClassVar[tuple[Path, ...]] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            if folder.is_dir() and not folder.samefile(config_dir()):
                search_path.append("user", f"file://{folder.resolve()}")


Plugins.instance().register(UserFolders)
