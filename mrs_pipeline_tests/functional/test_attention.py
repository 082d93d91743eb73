"""Softmax under a mask."""

import torch

from mrs_pipeline.functional.attention import masked_softmax


def test_shares_go_to_what_is_allowed():
    scores = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], requires_grad=True)
    allowed = torch.tensor([[True, True, True], [True, False, True], [False, False, False]])
    shares = masked_softmax(scores, allowed)
    assert torch.allclose(shares[0], torch.softmax(scores[0], 0))
    assert torch.allclose(shares[1, [0, 2]], torch.softmax(scores[1, [0, 2]], 0))
    assert shares[1, 1] == 0
    assert shares[2].tolist() == [0, 0, 0]
    (gradient,) = torch.autograd.grad(shares.square().sum(), scores)
    assert gradient.isfinite().all()
    assert gradient[2].tolist() == [0, 0, 0]
