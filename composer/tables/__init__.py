"""Tables of a run, and what they say in sentences, for the terminal and the page."""
