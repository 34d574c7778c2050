"""How much of OpenAI's protocol a server understands, found out by asking."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Dialect:
    """What a server understands of the protocol; each starts with all of it, and a refusal takes one thing away.

    Args:
        top_log_probs (`int`): How many first tokens to ask for; 0 asks for none.
        temperature (`bool`): Whether the temperature may be set. Closed reasoning models refuse it.
        limit_name (`str`): What the limit on the answer's tokens is called.
    """

    top_log_probs: int = 20
    temperature: bool = True
    limit_name: str = "max_tokens"

    def without(self, reason: str) -> "Dialect | None":
        """The next plainer dialect after a refusal; `None` when nothing is left to go without.

        Args:
            reason (`str`): The server's own words.

        Example:
            >>> Dialect().without("Unsupported parameter: use 'max_completion_tokens' instead").limit_name
            'max_completion_tokens'
            >>> Dialect().without("top_logprobs must be at most 5").top_log_probs
            5
        """
        if "max_completion_tokens" in reason and self.limit_name == "max_tokens":
            return replace(self, limit_name="max_completion_tokens")
        if "temperature" in reason and self.temperature:
            return replace(self, temperature=False)
        # Servers name a refused logprobs parameter in many ways or not at all; TGI takes 5 of them.
        if self.top_log_probs:
            return replace(self, top_log_probs=5 if self.top_log_probs > 5 else 0)
        return None

    def common(self, other: "Dialect") -> "Dialect":
        """What two dialects both understand: one server may be several machines."""
        limit_names = {self.limit_name, other.limit_name}
        return Dialect(
            min(self.top_log_probs, other.top_log_probs),
            self.temperature and other.temperature,
            "max_tokens" if limit_names == {"max_tokens"} else "max_completion_tokens",
        )

    def request(self, max_answer_tokens: int, extra_body: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of `chat_completion`."""
        asked: dict[str, Any] = {"temperature": 0.0} if self.temperature else {}
        if self.top_log_probs:
            asked |= {"logprobs": True, "top_logprobs": self.top_log_probs}
        return {**asked, "extra_body": {self.limit_name: max_answer_tokens, **extra_body}}
