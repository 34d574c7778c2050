"""The one exception that means: what the user gave us is wrong, and here is the remedy."""


class InputError(ValueError):
    """Something the user gave cannot be used as it is.

    The message says what was expected, what came, where, and what to do. The command line prints it as one
    sentence and exits with code 2; library callers may catch it as a `ValueError`.
    """
