"""Notifications' commands: `python -m lotpro_notifications serve|api|worker|migrate|job NAME|openapi`."""

import sys

from lotpro_kit import service
from lotpro_notifications.app import SERVICE

if __name__ == "__main__":
    sys.exit(service.main(SERVICE))
