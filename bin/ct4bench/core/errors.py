"""The one error that a user is meant to read."""


class UserError(Exception):
    """Wrong input. The message says what is wrong, in which file, and what to do about it."""
