"""Owns reading this package's data files: YAML refused when a key is given twice, text as it is."""

from collections.abc import Hashable
from importlib import resources
from pathlib import Path
from typing import Any

import yaml


class DuplicateKey(ValueError):
    """A mapping names the same key twice, so that one of the two promises would be lost without a word."""


class _Loader(yaml.CSafeLoader):
    """YAML's safe loader, which by itself lets the last of two equal keys win.

    The one in C: services read the policy while they start, and the one in Python takes a third of a second for it.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise DuplicateKey(f"{key!r} is given twice{node.start_mark}")
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str) -> Any:
    """The value of one YAML document; raises DuplicateKey, or yaml.YAMLError when it is not YAML."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - the loader is a SafeLoader


def packaged_text(name: str) -> str:
    """The packaged file, as published."""
    return resources.files("lotpro_policy").joinpath(name).read_text(encoding="utf-8")


def packaged_yaml(name: str) -> Any:
    """The value of a packaged YAML file."""
    return parse_yaml(packaged_text(name))


def yaml_file(path: Path) -> Any:
    """The value of a YAML file outside the package (a service's data manifest)."""
    return parse_yaml(path.read_text(encoding="utf-8"))
