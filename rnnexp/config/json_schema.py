"""A JSON Schema of everything that a config may say, for editors.

It is made from what a run is checked with: the keys of the top level (schema), the options of the
groups (places), and the signatures of the classes that the options name (json_arguments).

It serves three kinds of files, in none of which anything is required. An experiment and the config
of a run folder are described by its root. An option file is described by the definition of its
group: `data.cleaning` of the group data/cleaning.

It is of draft 7, which editors know best. Of two things it knows less than a run: to JSON the
number 3.0 is an integer, and arguments of classes that no option names are not in it.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rnnexp.config import targets
from rnnexp.config.compose import initialised
from rnnexp.config.json_arguments import (
    ANYTHING,
    OTHER_KEYS,
    JsonSchema,
    describe,
    keys_of_classes,
    ref,
    value,
)
from rnnexp.config.places import OptionFile, Place, chosen_in_train, option_files, places
from rnnexp.config.recorded import OPTIONAL_CLASSES
from rnnexp.config.schema import MODES, TOP_LEVEL, Schema

# What a reference to another value looks like, and ???, a value that is still to be given.
REFERENCE_PATTERN = r"\$\{|^\?\?\?$"
NAMES_A_CLASS = {"type": "object", "required": ["_target_"]}


def json_schema(config_dir: Path | None = None) -> JsonSchema:
    """The schema of all configs, with the options of ./conf and of `config_dir`.

    Raises:
        UserError: an option file cannot be read, or names a class that may not be named.
    """
    with initialised(config_dir):
        files, in_train = option_files(), chosen_in_train()
    root = places(itertools.chain(*files.values()))
    classes = _classes(root)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        # Alone: an editor that is asked for a definition puts its keywords over those here.
        "allOf": [ref("experiment")],
        "definitions": {
            "anything": _anything(list(classes)),
            "node": {"type": "object", "allOf": [ANYTHING]},
            "reference": {"type": "string", "pattern": REFERENCE_PATTERN},
            "class": _any_class(list(classes)),
            **{f"class:{name}": keys_of_classes([found]) for name, found in classes.items()},
            **{
                f"key:{key}": _place(place, key, classes)
                for key, place in root.everywhere()
                if key and place.holds
            },
            **{f"option:{_dotted(group)}": _choice(of_group) for group, of_group in files.items()},
            "config": _top_level(root),
            **{
                _dotted(group): {
                    "allOf": [_defaults_list(group, files, in_train), _content(of_group, root)]
                }
                for group, of_group in files.items()
            },
            "experiment": {
                "allOf": [
                    _defaults_list("experiment", files, in_train),
                    ref("config"),
                    *_chosen(files, classes),
                ]
            },
        },
    }


# The files --------------------------------------------------------------------------------------


def _top_level(root: Place) -> JsonSchema:
    """The keys of a whole config. OmegaConf makes text of a number where a text is meant."""
    text = describe(Schema, TOP_LEVEL)
    known: JsonSchema = {
        "name": value([{"type": ["string", "number"], "pattern": r"^(?!\.{1,2}$)[^/]+$"}]),
        "seed": value([{"type": "integer"}]) | {"default": 0},
        "monitor": value([{"type": ["string", "number", "null"]}]),
        "mode": value([{"enum": list(MODES)}]),
    }
    for name in TOP_LEVEL:
        kinds = ["object", "string", *(["null"] if name in OPTIONAL_CLASSES else [])]
        group = {"type": kinds, "pattern": REFERENCE_PATTERN, "allOf": [_at(root, name)]}
        known[name] = {"description": text[name]} | known.get(name, group)
    others = {"defaults": {"type": "array"}, "hydra": {"description": "Settings of Hydra."}}
    return {"type": "object", "properties": known | others, "additionalProperties": False}


def _content(files: list[OptionFile], root: Place) -> JsonSchema:
    """What the files of a group hold, at the keys that they are for."""
    keys = sorted({file.key for file in files})
    found = [_at(root, key) if key else ref("config") for key in keys]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _defaults_list(
    group: str, files: Mapping[str, list[OptionFile]], in_train: list[str]
) -> JsonSchema:
    """What the defaults list of a file of this group may choose: another file of the group, options
    of the groups inside it, and those of other groups by their absolute names.

    A group that train.yaml chooses can only be overridden, and by a group that is chosen later.
    """
    top = group.partition("/")[0]
    earlier = in_train[: in_train.index(top)] if top in in_train else in_train
    names: JsonSchema = {}
    for other in files:
        ways = []
        if other.startswith(f"{group}/"):
            inside = other.removeprefix(f"{group}/")
            ways += [inside, f"override {inside}"]
        if other in earlier or other not in in_train:
            ways += [f"override /{other}"]
        if other not in in_train:
            ways += [f"/{other}"]
        names |= dict.fromkeys(ways, ref(f"option:{_dotted(other)}"))
    option = {
        "type": "object",
        "properties": names,
        "patternProperties": {"@|^optional |^(override )?/?hydra/": {}},
        "additionalProperties": False,
    }
    file = {"enum": ["_self_", *(file.name for file in files[group])]}
    elsewhere = {"type": "string", "pattern": rf"^/|{REFERENCE_PATTERN}"}
    items = {"anyOf": [option, file, elsewhere]}
    return {"properties": {"defaults": {"type": "array", "items": items}}}


def _chosen(
    files: Mapping[str, list[OptionFile]], classes: Mapping[str, type]
) -> Iterator[JsonSchema]:
    """What an experiment may change of an option that its own defaults list chooses: arguments of
    the class of this option, and no longer those of another option's."""
    for group, of_group in files.items():
        for file in of_group:
            name = _class_of(file, of_group)
            if name not in classes or not file.key:
                continue
            override = f"override /{group}"
            entry = {"properties": {override: _text(file.name)}, "required": [override]}
            chosen = {"contains": entry | {"type": "object"}}
            content: JsonSchema = {"if": NAMES_A_CLASS, "else": ref(f"class:{name}")}
            for key in reversed(file.key.split(".")):
                content = {"properties": {key: content}}
            yield {
                "if": {"properties": {"defaults": chosen}, "required": ["defaults"]},
                "then": content,
            }


def _class_of(file: OptionFile, of_group: list[OptionFile]) -> str | None:
    """The class that a file names, or one of the files that it builds on."""
    if "_target_" in file.content:
        return str(file.content["_target_"])
    others = [other for other in of_group if other is not file]
    below = [other for other in others if other.name in (file.content.get("defaults") or [])]
    return next(filter(None, (_class_of(other, others) for other in below)), None)


def _choice(files: list[OptionFile]) -> JsonSchema:
    option = {"enum": [file.name for file in files if not file.name.startswith("_")]}
    return value([option, {"type": "null"}, {"type": "array", "items": option}])


def _dotted(group: str) -> str:
    return group.replace("/", ".")


# The keys ---------------------------------------------------------------------------------------


def _at(root: Place, key: str) -> JsonSchema:
    """What may stand at a key, as far as option files say."""
    return ref(f"key:{key}") if root.at(key).holds else {}


def _place(place: Place, key: str, classes: Mapping[str, type]) -> JsonSchema:
    """What may stand at a key. Without a `_target_` it is a part of what an option has put there,
    and so it has arguments of any of the classes that options name."""
    below = {
        name: ref(f"key:{key}.{name}") if inner.holds else {}
        for name, inner in place.below.items()
        if inner.holds or not place.classes
    }
    if not place.classes:
        return {"properties": below, "additionalProperties": ANYTHING}
    named = [classes[name] for name in place.classes if name in classes]
    return {
        "properties": {"_target_": _one_of(place.classes), **below},
        "if": NAMES_A_CLASS,
        "then": ref("class"),
        "else": keys_of_classes(named),
    }


def _anything(classes: list[str]) -> JsonSchema:
    """Any value; nodes that name a class are compared with it, however deep they lie."""
    return {
        "properties": {"_target_": _one_of(classes)},
        "items": ANYTHING,
        "if": NAMES_A_CLASS,
        "then": ref("class"),
        "else": {"additionalProperties": ANYTHING},
    }


# The classes ------------------------------------------------------------------------------------


def _classes(root: Place) -> dict[str, type]:
    """All classes that are described: those that options name, and Lightning's."""
    where = dict.fromkeys(sorted(targets.LIGHTNING), "")
    for key, place in root.everywhere():
        for name, file in place.classes.items():
            where.setdefault(name, f"{file}: {key}")
    return {
        name: targets.locate({"_target_": name}, place)
        for name, place in where.items()
        if not re.search(REFERENCE_PATTERN, name)
    }


def _any_class(classes: list[str]) -> JsonSchema:
    """A node with a `_target_`: the arguments of the class, where it is one that is described."""
    return {
        "properties": {
            "_target_": {
                "type": "string",
                "pattern": f"{targets.allowed_pattern()}|{REFERENCE_PATTERN}",
                "patternErrorMessage": "not on the allow-list of classes: see --allow",
            }
        },
        "patternProperties": OTHER_KEYS,
        "allOf": [
            {"if": {"properties": {"_target_": _text(name)}}, "then": ref(f"class:{name}")}
            for name in classes
        ],
    }


def _text(text: str) -> JsonSchema:
    """This text alone. For an editor that completes, an empty value would be equal to a const."""
    escaped = re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", text)
    return {"type": "string", "pattern": f"^{escaped}$"}


def _one_of(classes: Iterable[str]) -> JsonSchema:
    """What an editor offers; that others may be named as well, `_any_class` says."""
    return {"anyOf": [{"enum": list(classes)}, {"type": "string"}]}
