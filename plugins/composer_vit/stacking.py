"""Many members of the network at once: every linear layer is one batched product of matrices."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from composer_vit import ViT

PICTURES_AT_ONCE = 64
"""Pictures per forward pass on a CPU: with more, what a layer gives leaves its cache."""

Weights = Mapping[str, Tensor]


def stacked_features(architecture: ViT, weights: Weights, pixels: Tensor) -> Tensor:
    """float32 [M, N, D] of M members. Differentiable."""
    together = PICTURES_AT_ONCE if pixels.device.type == "cpu" else len(pixels)
    return torch.cat([_features(architecture, weights, batch) for batch in torch.split(pixels, together)], dim=1)


def _features(architecture: ViT, weights: Weights, pixels: Tensor) -> Tensor:
    patch, pictures = architecture.patch, len(pixels)
    cut = F.unfold(pixels, patch, stride=patch).mT.reshape(1, pictures * architecture.tokens, -1)  # [1, N*T, 3*P*P]
    kernels = weights["patches.weight"].flatten(2)  # [M, D, 3*P*P]
    members = len(kernels)
    tokens = torch.baddbmm(weights["patches.bias"][:, None], cut.expand(members, -1, -1), kernels.mT)  # [M, N*T, D]
    tokens = (tokens.view(members, pictures, architecture.tokens, -1) + weights["positions"][:, None]).flatten(1, 2)
    for index in range(architecture.layers):
        tokens = _block(weights, f"blocks.{index}", tokens, pictures, architecture.heads)
    return _normed(weights, "norm", tokens).view(members, pictures, architecture.tokens, -1).mean(2)


def _block(weights: Weights, name: str, tokens: Tensor, pictures: int, heads: int) -> Tensor:
    tokens = tokens + _attention(weights, f"{name}.attn", _normed(weights, f"{name}.norm1", tokens), pictures, heads)
    hidden = F.gelu(_linear(weights, f"{name}.fc1", _normed(weights, f"{name}.norm2", tokens)))
    return tokens + _linear(weights, f"{name}.fc2", hidden)


def _attention(weights: Weights, name: str, tokens: Tensor, pictures: int, heads: int) -> Tensor:
    members = len(tokens)
    parts = _linear(weights, f"{name}.qkv", tokens).view(members * pictures, -1, 3, heads, tokens.shape[2] // heads)
    query, key, value = parts.permute(2, 0, 3, 1, 4)  # [M*N, H, T, d]
    seen = F.scaled_dot_product_attention(query, key, value)
    return _linear(weights, f"{name}.proj", seen.transpose(1, 2).reshape(tokens.shape))


def _linear(weights: Weights, name: str, values: Tensor) -> Tensor:
    """[M, n, O] from [M, n, I]."""
    return torch.baddbmm(weights[f"{name}.bias"][:, None], values, weights[f"{name}.weight"].mT)


def _normed(weights: Weights, name: str, values: Tensor) -> Tensor:
    """Layer norm with each member's own scale and shift."""
    normed = F.layer_norm(values, values.shape[-1:])
    return torch.addcmul(weights[f"{name}.bias"][:, None], normed, weights[f"{name}.weight"][:, None])
