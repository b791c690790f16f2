"""Fréchet Audio Distance: between Gaussians that have the means and covariances of two sets of embeddings."""

import torch
from torch import Tensor

from drumblender.evaluation.kad import Embeddings, check_sets


def frechet_audio_distance(target: Embeddings, prediction: Embeddings) -> float:
    """The squared Fréchet distance of two sets, of any sizes (Kilgour et al. 2019).

    ``|m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2))`` with unbiased covariances. The trace of the root is
    the sum of the singular values of the product of a root of each, so that covariances of low rank need no
    added noise. The estimate is too high for small sets; where a set has fewer items than dimensions it
    compares subspaces more than sounds.

    Raises:
        ValueError: Fewer than two items in a set, other dimensions, or NaN.

    >>> x = torch.tensor([[0.0], [2.0]])
    >>> round(frechet_audio_distance(x, 3 * x + 1), 4)  # means 1 and 4, deviations 1.41 and 4.24
    17.0
    """
    x, y = check_sets(target, prediction)
    apart = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    roots = [_root(rows) for rows in (x, y)]
    shared = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    spread = sum(root.square().sum() for root in roots)
    return (apart + spread - 2 * shared).clamp(min=0).item()


def _root(rows: Tensor) -> Tensor:
    """A matrix whose product with itself, ``root.T @ root``, is the covariance."""
    centered = (rows - rows.mean(dim=0)) / (len(rows) - 1) ** 0.5
    if len(rows) <= rows.shape[1]:
        return centered
    return torch.linalg.qr(centered, mode="r").R
