"""What an organisation's directory says about its people (SCIM 2.0), and the tokens it says it with."""
