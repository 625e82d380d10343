"""Rendering: complete values in, one valid configuration out."""

import json
import re
from pathlib import Path

import pytest
import yaml

from gateway import render
from gateway.tests.conftest import environment


@pytest.fixture
def values() -> dict[str, str]:
    ports = {service: 8101 + index for index, service in enumerate(render.SERVICES)}
    return environment(ports, Path("/tls/server.pem"), Path("/docs"))


def test_a_missing_value_is_named(values: dict[str, str]) -> None:
    del values["jwks_uri"], values["audit_port"]
    with pytest.raises(render.MissingValues, match="audit_port, jwks_uri"):
        render.render(values)


def test_an_unknown_value_is_named(values: dict[str, str]) -> None:
    with pytest.raises(render.UnknownValues, match="colour"):
        render.render(values | {"colour": "red"})


def test_every_service_has_a_cluster_a_route_and_a_part_in_healthz(values: dict[str, str]) -> None:
    text = render.render(values)
    config = yaml.safe_load(text)
    clusters = [cluster["name"] for cluster in config["static_resources"]["clusters"]]
    assert clusters == list(render.SERVICES)
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    names = [name for service in render.SERVICES for name in (f"{service}-files", service)]
    assert [route["name"] for route in routes if "route" in route] == names
    health = next(row for row in manager["http_filters"] if row["name"] == "envoy.filters.http.health_check")
    assert set(health["typed_config"]["cluster_min_healthy_percentages"]) == set(render.SERVICES)


def test_a_file_is_handed_out_for_as_long_as_it_takes(values: dict[str, str]) -> None:
    config = yaml.safe_load(render.render(values))
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = [route for route in manager["route_config"]["virtual_hosts"][0]["routes"] if "route" in route]

    def timeout(path: str) -> str:
        return next(
            str(route["route"]["timeout"])
            for route in routes
            if re.fullmatch(route["match"].get("safe_regex", {}).get("regex", "$.^"), path)
            or path.startswith(route["match"].get("prefix", "$"))
        )

    assert timeout("/api/audit/v1/exports/0192e4a0-0000-7000-8000-000000000000/content") == "0s"
    assert timeout("/api/audit/v1/exports/0192e4a0-0000-7000-8000-000000000000") == "30s"
    assert timeout("/api/audit/v1/content") == "30s"


def test_http_and_https_have_the_same_filters(values: dict[str, str]) -> None:
    http, https = yaml.safe_load(render.render(values))["static_resources"]["listeners"]
    assert json.dumps(http["filter_chains"][0]["filters"]) == json.dumps(https["filter_chains"][0]["filters"])


def test_no_origins_at_all_is_a_valid_choice(values: dict[str, str]) -> None:
    assert "allow_origin_string_match: []" in render.render(values | {"cors_origins": ""})


def test_every_public_path_says_why_and_where_exactly_one_way() -> None:
    for row in render.public_paths():
        assert row.keys() - {"method", "why"} in ({"path"}, {"below"})
        assert row["why"].endswith(".")
        assert row["method"] in ("GET", "POST", "PUT", "PATCH", "DELETE")


def test_the_command_line_writes_the_file(values: dict[str, str], tmp_path: Path) -> None:
    arguments = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    assert render.main([*arguments, "-o", str(tmp_path / "envoy.yaml")]) == 0
    assert (tmp_path / "envoy.yaml").read_text() == render.render(values)


def test_the_command_line_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        render.main(["--set", "http_port=1", "-o", str(tmp_path / "envoy.yaml")])
    assert "missing: admin_address" in capsys.readouterr().err
