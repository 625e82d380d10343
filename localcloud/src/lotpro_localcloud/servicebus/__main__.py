"""`python -m lotpro_localcloud.servicebus`."""

from lotpro_localcloud.servicebus.server import main

main()
