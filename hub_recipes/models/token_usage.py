"""How many tokens a language model read and wrote."""

from dataclasses import dataclass, fields


@dataclass
class TokenUsage:
    """Counters that only grow; two readings of them tell what happened in between.

    Args:
        prompts (`int`): Prompts that were read.
        read (`int`): Their tokens, and those of the branches that were scored, without padding.
        written (`int`): Tokens of the answers, without padding.
    """

    prompts: int = 0
    read: int = 0
    written: int = 0

    def count(self, prompts: int, read: int, written: int = 0) -> None:
        """Add what was read and written."""
        self.prompts += prompts
        self.read += read
        self.written += written

    def copy(self) -> "TokenUsage":
        """The counters as they stand now."""
        return TokenUsage(self.prompts, self.read, self.written)

    def since(self, earlier: "TokenUsage") -> "TokenUsage":
        """What was counted since an earlier reading.

        Example:
            >>> usage = TokenUsage(prompts=1, read=10)
            >>> before = usage.copy()
            >>> usage.count(prompts=2, read=7, written=3)
            >>> usage.since(before)
            TokenUsage(prompts=2, read=7, written=3)
        """
        return TokenUsage(*(getattr(self, one.name) - getattr(earlier, one.name) for one in fields(self)))
