"""The network of SASRec: causal self-attention over item embeddings, which also serve as its output weights."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .sasrec_settings import SasRecSettings

_SEQUENCES_AT_ONCE = 1024


class SasRecNetwork(nn.Module):
    """Predicts each next item of a sequence.

    Args:
        num_items (`int`): Size of the catalogue.
        settings ([`SasRecSettings`]): The shape.
    """

    def __init__(self, num_items: int, settings: SasRecSettings):
        super().__init__()
        self.items = nn.Embedding(num_items, settings.dim)
        self.positions = nn.Embedding(settings.window, settings.dim)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.dim)
        for embedding in (self.items, self.positions):
            nn.init.normal_(embedding.weight, std=settings.dim**-0.5)

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Read sequences.

        Args:
            items (`torch.Tensor` of shape `[sequences, longest]`): Item numbers, padded on the right with any. No
                mask is needed: attention is causal, so nothing is read from the padding.
            lengths (`torch.Tensor` of shape `[sequences]`): How many items of each row are meant.

        Returns:
            `torch.Tensor` of shape `[sequences, longest, dim]`: What is known after each item.
        """
        # Counted from the end, so that the newest item has the same position whatever the length of the history.
        from_end = lengths[:, None] - 1 - torch.arange(items.shape[1], device=items.device)
        hidden = self.dropout(self.items(items) + self.positions(from_end.clamp(min=0)))
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)

    @torch.no_grad()
    def score(self, items: np.ndarray, lengths: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Logits of candidates as the item after each sequence.

        Args:
            items (`np.ndarray` of shape `[sequences, longest]`): Item numbers, padded on the right.
            lengths (`np.ndarray` of shape `[sequences]`): May be 0: logits are then 0.
            candidates (`np.ndarray` of shape `[sequences, candidates]` or `[candidates]`): Item numbers, or -1, which
                is read as 0; those of each sequence, or of all.

        Returns:
            `np.ndarray` of shape `[sequences, candidates]`
        """
        self.eval()
        device = self.items.weight.device
        scores = np.zeros((len(items), candidates.shape[-1]), dtype=np.float32)
        for start in range(0, len(items), _SEQUENCES_AT_ONCE):
            rows = slice(start, start + _SEQUENCES_AT_ONCE)
            own = candidates if candidates.ndim == 1 else candidates[rows]
            some = (torch.from_numpy(numbers).to(device) for numbers in (items[rows], lengths[rows], own))
            scores[rows] = self._candidate_logits(*some).cpu().numpy()
        return scores

    def _candidate_logits(self, items: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        hidden = self(items, lengths)
        last = hidden[torch.arange(len(items), device=items.device), (lengths - 1).clamp(min=0)]
        last = last * (lengths > 0)[:, None]
        weights = self.items(candidates.clamp(min=0))
        return last @ weights.T if candidates.ndim == 1 else torch.einsum("sd,scd->sc", last, weights)


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each normalised before and added to its input."""

    def __init__(self, settings: SasRecSettings):
        super().__init__()
        dim = settings.dim
        self.heads = settings.heads
        self.attention_norm, self.forward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.queries_keys_values, self.merge = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.dropout(self._attend(self.attention_norm(hidden)))
        return hidden + self.dropout(self.narrow(F.relu(self.widen(self.forward_norm(hidden)))))

    def _attend(self, hidden: Tensor) -> Tensor:
        split = self.queries_keys_values(hidden).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # each of shape [sequences, heads, longest, dim / heads]
        attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return self.merge(attended.transpose(1, 2).flatten(-2))
