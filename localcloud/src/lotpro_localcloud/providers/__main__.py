"""`python -m lotpro_localcloud.providers`."""

from lotpro_localcloud.providers.server import main

main()
