"""Owns the files behind /docs and /openapi.json: our page, Swagger UI's assets and the committed document."""

import argparse
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE / "openapi.json"
PAGE_FILES = ("index.html", "start.js", "lotpro.css")
SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")


def write(directory: Path, document: Path = DOCUMENT) -> None:
    """Fill `directory` (made when missing) with what Envoy serves; `document` is the joined OpenAPI document."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in PAGE_FILES:
        shutil.copyfile(HERE / "page" / name, directory / name)
    swagger = distribution("fastapi-offline")
    for name in SWAGGER_FILES:
        shutil.copyfile(Path(str(swagger.locate_file(f"fastapi_offline/static/{name}"))), directory / name)
    shutil.copyfile(document, directory / "openapi.json")


def main(arguments: list[str] | None = None) -> int:
    """`python gateway/docs.py -o DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", metavar="DIR", required=True, type=Path, dest="directory")
    write(parser.parse_args(arguments).directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
