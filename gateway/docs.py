"""Owns the files behind /docs and /openapi.json: our page, Swagger UI's assets and the joined document."""

import argparse
import json
import shutil
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from gateway import openapi
from gateway.render import SERVICES

OWN = Path(__file__).parent / "docs"
OWN_FILES = ("index.html", "start.js", "lotpro.css")
SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")


class MissingDocuments(ValueError):
    """Not every service's document was given."""


def write(directory: Path, documents: Mapping[str, dict[str, Any]]) -> None:
    """Fill `directory` with what the gateway serves; raises MissingDocuments, and what openapi.join raises."""
    if missing := [service for service in SERVICES if service not in documents]:
        raise MissingDocuments(f"missing: {', '.join(missing)}")
    directory.mkdir(parents=True, exist_ok=True)
    for name in OWN_FILES:
        shutil.copyfile(OWN / name, directory / name)
    swagger = distribution("fastapi-offline")
    for name in SWAGGER_FILES:
        shutil.copyfile(Path(str(swagger.locate_file(f"fastapi_offline/static/{name}"))), directory / name)
    joined = openapi.join({service: documents[service] for service in SERVICES})
    (directory / "openapi.json").write_text(json.dumps(joined, separators=(",", ":")), encoding="utf-8")


def read(source: str) -> dict[str, Any]:
    """A service's document from a file, or from a running service by http; raises OSError or ValueError."""
    if source.startswith(("http://", "https://")):
        with urllib.request.urlopen(source, timeout=10) as answer:  # noqa: S310 - the scheme was just checked
            document: dict[str, Any] = json.load(answer)
    else:
        document = json.loads(Path(source).read_text(encoding="utf-8"))
    return document


def main(arguments: Iterable[str] | None = None) -> int:
    """`python -m gateway.docs -o DIR identity=FILE-OR-URL inventory=... ...`; exit status 2 when one is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", metavar="DIR", required=True, type=Path, dest="directory")
    parser.add_argument("sources", metavar="SERVICE=SOURCE", nargs="+")
    options = parser.parse_args(None if arguments is None else list(arguments))
    pairs = [pair.partition("=") for pair in options.sources]
    try:
        write(options.directory, {service: read(source) for service, _, source in pairs})
    except (MissingDocuments, openapi.NotOpenAPI31, openapi.PathClash, OSError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
