"""What every test may ask for; it is made in tests/rig."""

pytest_plugins = ["tests.rig.run", "tests.rig.fixtures", "tests.rig.browser"]
