"""Every choice of SASRec, apart from the network, so that this module needs no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SasRecSettings:
    """Every choice of the network and its training.

    Args:
        layers (`int`, *optional*, defaults to 2): Blocks of attention.
        dim (`int`, *optional*, defaults to 64): Width.
        heads (`int`, *optional*, defaults to 2): Attention heads.
        window (`int`, *optional*, defaults to 50): Most choices that are read at once.
        dropout (`float`, *optional*, defaults to 0.3): Share of activations that are dropped in training.
        epochs (`int`, *optional*, defaults to 20): How often training sees each choice as a target.
        max_targets (`int`, *optional*, defaults to 2,500,000): Targets after which training ends, however few epochs
            that is: about 100 seconds of one core.
        batch_targets (`int`, *optional*, defaults to 256): Targets of a step, about.
        negatives (`int`, *optional*, defaults to 1024): Items that each target is held against: the whole catalogue
            up to that size, and as many drawn at random from a larger one.
        learning_rate (`float`, *optional*, defaults to 2e-3): The highest of a one-cycle schedule.
        seed (`int`, *optional*, defaults to 0): Decides weights, dropout, batches and negatives.
    """

    layers: int = 2
    dim: int = 64
    heads: int = 2
    window: int = 50
    dropout: float = 0.3
    epochs: int = 20
    max_targets: int = 2_500_000
    batch_targets: int = 256
    negatives: int = 1024
    learning_rate: float = 2e-3
    seed: int = 0
