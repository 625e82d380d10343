"""`python -m lotpro_identity serve|api|worker|migrate|job|openapi`."""

import sys

from lotpro_identity.app import SERVICE
from lotpro_kit import service

if __name__ == "__main__":
    sys.exit(service.main(SERVICE))
