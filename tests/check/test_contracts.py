"""Our own import rules find what they are there to find."""

from pathlib import Path

import pytest
from grimp import ImportGraph

from tests.check.contracts import OnlyFrom, OwnTables


def own_tables() -> OwnTables:
    return OwnTables(name="5", session_options={}, contract_options={"services": ["lotpro_shop"]})


@pytest.mark.parametrize(
    ("importer", "imported", "kept"),
    [
        ("lotpro_shop.sales.service", "lotpro_shop.vehicles.repository", False),
        ("lotpro_shop.sales.models", "lotpro_shop.vehicles.models", False),
        ("lotpro_shop.sales.service", "lotpro_shop.vehicles.service", True),
        ("lotpro_shop.vehicles.service", "lotpro_shop.vehicles.repository", True),
        ("lotpro_shop.app", "lotpro_shop.vehicles.models", True),
        ("lotpro_other.sales.service", "lotpro_other.vehicles.repository", True),
    ],
)
def test_a_noun_may_not_look_into_another_nouns_tables(importer: str, imported: str, kept: bool) -> None:
    graph = ImportGraph()
    graph.add_module(importer)
    graph.add_module(imported)
    graph.add_import(importer=importer, imported=imported)
    assert own_tables().check(graph, verbose=False).kept is kept


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("from azure.servicebus.aio import ServiceBusClient", False),
        ("from azure import servicebus", False),
        ("import azure.servicebus", False),
        ("def late():\n    import azure.servicebus.exceptions", False),
        ("from azure.identity.aio import ManagedIdentityCredential", True),
        ("from lotpro_kit import bus", True),
    ],
)
def test_an_sdk_is_imported_only_where_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, kept: bool
) -> None:
    # A name for each case: Python keeps packages that it has found.
    root = f"lotpro_case_{abs(hash(line))}"
    (tmp_path / root / "clients").mkdir(parents=True)
    for file in ("__init__.py", "clients/__init__.py"):
        (tmp_path / root / file).touch()
    (tmp_path / root / "clients" / "bus.py").write_text("import azure.servicebus\n")
    (tmp_path / root / "service.py").write_text(f"{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    graph = ImportGraph()
    graph.add_module(f"{root}.service")
    options = {"sdk": "azure.servicebus", "allowed": [f"{root}.clients.*"]}
    contract = OnlyFrom(name="6", session_options={}, contract_options=options)
    assert contract.check(graph, verbose=False).kept is kept
