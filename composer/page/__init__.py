"""The page of a run, `report.html`: gathered while it runs, written from the files in its folder alone."""
