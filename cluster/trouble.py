"""Why a command of ``nova-manage`` could not do what it was asked."""


class Trouble(Exception):
    """Ends a command. Told to the operator as two sentences, never as a traceback.

    Attributes:
        message: What is wrong.
        next_step: What to do about it.
        undo: Whether what the command has started is to be ended again.
    """

    def __init__(self, message: str, next_step: str = "", *, undo: bool = False) -> None:
        self.message = message
        self.undo = undo
        self.next_step = next_step
        super().__init__(message, next_step)

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".rstrip()
