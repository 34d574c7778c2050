"""What this machine computes with."""

from typing import Literal

import torch

MatmulPrecision = Literal["highest", "high", "medium"]
"""As `torch.set_float32_matmul_precision` names them."""


def accelerator() -> torch.device | None:
    """The accelerator to compute on.

    Returns:
        `torch.device` or `None`: `None` where only processors are here, whatever torch was built for: the torch that
        most people install on Linux is built for CUDA, and names it where there is no card and no driver.

    Example:
        >>> device = accelerator() or "cpu"
    """
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None


def set_matmul_precision(precision: MatmulPrecision) -> None:
    """Choose how exactly matrix products of float32 are computed.

    Args:
        precision (`str`): `"medium"` leaves them to oneDNN, which may round to bfloat16, on processors with
            instructions for it (AMX or AVX512-BF16). This is faster; weights and activations stay in float32. It
            changes nothing on other processors, where bfloat16 would be emulated.
    """
    slow = accelerator() is None and not multiplies_bfloat16()
    torch.set_float32_matmul_precision("highest" if slow else precision)


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions that multiply in bfloat16."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
