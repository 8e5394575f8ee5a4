"""The batch transport: one Faust event per fetched list of records."""
