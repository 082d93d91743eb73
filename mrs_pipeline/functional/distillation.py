"""How far a student's scores are from a teacher's: divergences of log-probabilities, zero where both agree.

Teachers are constants: no gradient reaches them. Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural
Network", 2015.
"""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, kl_div, log_softmax


def pairwise_distillation(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """Mean KL of Bernoulli(sigmoid(teacher / temperature)) from Bernoulli(sigmoid(student / temperature)).

    Args:
        teacher: [...] gaps of scores, s_ui - s_uj.
        student: the same gaps.
        temperature: above one, small gaps count more beside large ones.

    >>> import torch
    >>> gaps = torch.tensor([0.0, 2.0])
    >>> pairwise_distillation(gaps, gaps, 1.0)
    tensor(0.)
    >>> pairwise_distillation(torch.tensor([0.0]), torch.tensor([2.0]), 1.0)  # log((1 + e^2) / (2 e))
    tensor(0.4338)
    """
    own, target = student / temperature, teacher.detach() / temperature
    wanted = target.sigmoid()
    entropy = binary_cross_entropy_with_logits(target, wanted)
    return (binary_cross_entropy_with_logits(own, wanted) - entropy).clamp(min=0)


def listwise_distillation(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """temperature^2 * mean KL of softmax(teacher / temperature) from softmax(student / temperature), by rows [B, n].

    Lists that differ by a constant are the same list:

    >>> import torch
    >>> scores = torch.tensor([[1.0, 2.0, 0.0]])
    >>> listwise_distillation(scores, scores + 5, 2.0).abs() < 1e-6
    tensor(True)
    """
    own = log_softmax(student / temperature, dim=1)
    wanted = log_softmax(teacher.detach() / temperature, dim=1)
    return temperature**2 * kl_div(own, wanted, log_target=True, reduction="batchmean")
