"""The accelerator of this machine."""

import torch


def accelerator() -> torch.device | None:
    """The accelerator to compute on.

    Returns:
        `torch.device` or `None`: `None` where only processors are here, whatever torch was built for: the torch that
        most people install on Linux is built for CUDA, and names it where there is no card and no driver.

    Example:
        >>> device = accelerator() or "cpu"
    """
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
