"""House rules that import-linter does not know by itself."""

import ast
import importlib.util
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

OWN = ("repository", "models")
#: Folders of a service that are no nouns.
NOT_NOUNS = ("clients",)


class OwnTables(Contract):
    """Rule 5: modules called `repository` or `models` are imported only from inside their own noun."""

    services = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Every import of another noun's own module breaks the contract."""
        found = []
        for module in sorted(graph.modules):
            service, *rest = module.split(".")
            if service not in self.services or len(rest) != 2:  # type: ignore[operator] # the instance holds a list
                continue
            if rest[1] not in OWN or rest[0] in NOT_NOUNS:
                continue
            noun = f"{service}.{rest[0]}"
            for importer in sorted(graph.find_modules_that_directly_import(module)):
                inside_a_noun = importer.startswith(f"{service}.") and importer.count(".") >= 2
                if inside_a_noun and not importer.startswith(f"{noun}."):
                    found.append((importer, module))
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line for each such import."""
        for importer, module in check.metadata["found"]:
            output.print_error(f"{importer} imports {module}: ask that noun's service instead.")


class OnlyFrom(Contract):
    """Rule 6: a provider's SDK is imported by the allowed modules alone.

    import-linter knows packages outside by their first name only, which for `azure.servicebus` is too little; this
    reads the sources.
    """

    sdk = fields.StringField()
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Every import from another module breaks the contract."""
        roots = sorted({module.split(".")[0] for module in graph.modules if module.startswith("lotpro_")})
        found = [
            module
            for root in roots
            for module, file in _sources(root)
            if any(_is_below(name, str(self.sdk)) for name in _imported(file))
            and not any(fnmatchcase(module, pattern) for pattern in self.allowed)  # type: ignore[attr-defined] # a list
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line for each such module."""
        for module in check.metadata["found"]:
            output.print_error(f"{module} imports {self.sdk}: only {self.allowed} may.")


def _sources(root: str) -> Iterator[tuple[str, Path]]:
    """(module, file) of a package."""
    spec = importlib.util.find_spec(root)
    for folder in spec.submodule_search_locations if spec and spec.submodule_search_locations else []:
        for file in sorted(Path(folder).rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join([root, *(part for part in parts if part != "__init__")]), file


def _imported(file: Path) -> Iterator[str]:
    """Names a file imports, also inside functions: `azure.servicebus.aio` of `from azure.servicebus.aio import X`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
