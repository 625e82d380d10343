"""`python -m lotpro_privacy serve|api|worker|migrate|job|openapi`."""

import sys

from lotpro_kit import service
from lotpro_privacy.app import SERVICE

if __name__ == "__main__":
    sys.exit(service.main(SERVICE))
