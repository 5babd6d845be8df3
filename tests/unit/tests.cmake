# The unit tests, a room after the other.
