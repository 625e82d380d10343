"""The people of an organisation: changing what they are, suspending them, letting them go."""
