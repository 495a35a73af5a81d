# SPDX-License-Identifier: MIT
"""The one error of the library."""


class Error(ValueError):
    """What was wrong with an argument: ``str(error)`` is "ARGUMENT: what was found, what is allowed".

    Attributes:
        argument: name of the argument.
        found: what was found and what is allowed.
        row: the first row to blame, or -1.
    """

    def __init__(self, argument: str, found: str, row: int = -1) -> None:
        super().__init__(f"{argument}: {found}")
        self.argument = argument
        self.found = found
        self.row = row

    def __reduce__(self) -> tuple[type["Error"], tuple[str, str, int]]:
        return Error, (self.argument, self.found, self.row)
