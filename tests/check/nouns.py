"""House rule 5 for import-linter: a noun asks another noun's service, and never looks into its tables."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

OWN = ("repository", "models")
#: Folders of a service that are no nouns.
NOT_NOUNS = ("clients",)


class OwnTablesContract(Contract):
    """Modules called `repository` or `models` are imported only from inside their own noun."""

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
