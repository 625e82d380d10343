"""`python -m lotpro_audit serve|api|worker|migrate|job|openapi`."""

import sys

from lotpro_audit.app import SERVICE
from lotpro_kit import service

if __name__ == "__main__":
    sys.exit(service.main(SERVICE))
