"""`make migration SERVICE=inventory NAME=add_colour`: the file a new migration begins with."""

import argparse
import re
import sys
from collections.abc import Sequence

from lotpro_localcloud import provision, surroundings
from lotpro_localcloud.topology import SERVICES

_TEMPLATE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

from lotpro_kit import migrations

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    """Expand now, contract in a later release: the version before must still run on this schema."""
'''


def main(argv: Sequence[str] | None = None) -> int:
    """Write services/<service>/migrations/versions/<next number>_<name>.py and say where."""
    parser = argparse.ArgumentParser(prog="python -m lotpro_localcloud migration")
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("name", help="what it does, in words or snake_case")
    arguments = parser.parse_args(argv)
    name = re.sub(r"\W+", "_", arguments.name.strip().lower()).strip("_")
    if not name:
        parser.error("the name has no word in it")
    before = provision.newest(arguments.service)
    revision = f"{int(before) + 1:04}"
    file = provision.migrations_of(arguments.service) / "versions" / f"{revision}_{name}.py"
    title = name.replace("_", " ").capitalize()
    file.write_text(_TEMPLATE.format(title=title, revision=revision, before=before), encoding="utf-8")
    sys.stdout.write(f"{file.relative_to(surroundings.root())}: fill in upgrade(), then run `make check`\n")
    return 0
