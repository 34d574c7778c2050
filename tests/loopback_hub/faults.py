"""What can go wrong between a client and the Hub, on demand."""

import re
from dataclasses import dataclass, field


@dataclass
class Fault:
    """Spoils requests.

    Args:
        method (`str`): Of the requests to spoil.
        path (`str`): Regular expression that their path must contain.
        status (`int`, *optional*): Answer with this instead; `None` cuts the connection.
        times (`int`, *optional*): How many of them; all by default.
        after_bytes (`int`, *optional*): Take so much of the body before the connection is cut.
        skip (`int`, *optional*): How many matching requests pass first.
        said (`str`, *optional*): Text of the answer, `{token}` filled with the client's token.
    """

    method: str
    path: str
    status: int | None = None
    times: int | None = None
    after_bytes: int = 0
    skip: int = 0
    said: str = "injected fault"
    headers: dict[str, str] = field(default_factory=dict)

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request is spoilt; counts."""
        if method != self.method or not re.search(self.path, path) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True
