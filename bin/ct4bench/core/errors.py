"""The errors of this project: one that a user is meant to read, and one that sets a file or series aside."""


class UserError(Exception):
    """Wrong input. The message says what is wrong, in which file, and what to do about it."""


class Refusal(Exception):
    """A file or series that is set aside: `reason` is a code of core/reasons.csv, the message its detail."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason
