"""Programs that show how the suite is used."""
