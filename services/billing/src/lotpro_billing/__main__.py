"""Billing's commands: `python -m lotpro_billing serve|api|worker|migrate|job NAME|openapi`."""

import sys

from lotpro_billing.app import SERVICE
from lotpro_kit import service

if __name__ == "__main__":
    sys.exit(service.main(SERVICE))
