"""The network, one of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from composer_vit import MLP, ViT

START = 0.02
"""Standard deviation of the positions at the start."""


class Attention(nn.Module):
    """Attention of every patch to all patches; queries, keys and values come of one linear layer, head by head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.heads = heads

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [N, H, T, d]
        seen = F.scaled_dot_product_attention(query, key, value)
        found: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return found


class Block(nn.Module):
    """Attention and two linear layers, each after a norm and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, MLP * width)
        self.fc2 = nn.Linear(MLP * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        hidden: Tensor = self.fc2(F.gelu(self.fc1(self.norm2(tokens))))
        return tokens + hidden


class Network(nn.Module):
    """Patches with their positions, blocks, norm, mean over patches, linear."""

    def __init__(self, architecture: ViT, outputs: int) -> None:
        super().__init__()
        width = architecture.width
        self.patches = nn.Conv2d(3, width, architecture.patch, architecture.patch)
        self.positions = nn.Parameter(torch.empty(architecture.tokens, width).normal_(std=START))
        self.blocks = nn.Sequential(*(Block(width, architecture.heads) for _ in range(architecture.layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [N, D] from normalised pixels [N, 3, S, S]."""
        tokens = self.patches(pixels).flatten(2).mT + self.positions  # [N, T, D]
        features: Tensor = self.norm(self.blocks(tokens)).mean(1)
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits
