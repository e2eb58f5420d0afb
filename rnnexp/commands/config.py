"""Describe the configs as a JSON Schema, so that an editor completes and checks them.

rnnexp config schema --help shows what to write in a YAML file; docs/editor.md says more.
"""

import argparse
import json
from pathlib import Path

from rnnexp.commands.shared.options import add_config_options, allow, command_parser
from rnnexp.commands.shared.output import check_output_file, writing
from rnnexp.config.json_schema import json_schema
from rnnexp.files import write_text
from rnnexp.printing import say

SCHEMA_HELP = """\
Print the JSON Schema of the configs, with your own options in ./conf. Write it once, and again when
there are new options:

  rnnexp config schema --output rnnexp.schema.json

Then a line in a YAML file, with the way from this file to the schema, makes the editor complete
and check it (VS Code with the extension YAML of Red Hat, or any other with yaml-language-server).
In an experiment it stands below `# @package _global_`, which has to be the first line; in the
config.yaml of a run folder at the top:

  # yaml-language-server: $schema=../../rnnexp.schema.json

In an option of a group the line names the group, too, here in conf/data/mine.yaml and in
conf/model/recurrence/mine.yaml:

  # yaml-language-server: $schema=../../rnnexp.schema.json#/definitions/data
  # yaml-language-server: $schema=../../../rnnexp.schema.json#/definitions/model.recurrence"""


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    actions = parser.add_subparsers(dest="action", metavar="schema")
    schema = actions.add_parser(
        "schema",
        help="print or write the JSON Schema of all configs",
        description=SCHEMA_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    schema.add_argument("--output", metavar="FILE", type=Path, help="write to this file instead")
    add_config_options(schema)
    arguments = parser.parse_args(argv)

    if arguments.action is None:
        parser.print_help()
        return 0
    allow(arguments.allow)
    return write_schema(arguments.output, arguments.config_dir)


def write_schema(output: Path | None, config_dir: Path | None = None) -> int:
    """Print the JSON Schema of all configs, or write it to a file.

    Raises:
        UserError: an option file is wrong, or the file cannot be written.
    """
    if output is not None:
        check_output_file(output)
    text = json.dumps(json_schema(config_dir), indent=1)
    if output is None:
        say(text)
        return 0
    with writing(output):
        write_text(output, text + "\n")
    say(
        f"The schema is in {output}. In an experiment, below `# @package _global_`, write",
        f"# yaml-language-server: $schema={output.resolve()}",
    )
    return 0
