"""What everything stands on: random streams, checks of arguments, and the machine."""
