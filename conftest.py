"""Every room's tests share the kit's fixtures."""

pytest_plugins = ["lotpro_kit.testing"]
