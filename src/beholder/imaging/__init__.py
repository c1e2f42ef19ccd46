"""Open any picture safely and find pictures."""
