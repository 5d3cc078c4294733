"""Adam without what `torch.optim.Adam` imports, the compiler of PyTorch: two seconds of CPU for each process."""

import math

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam (Kingma and Ba 2015) with PyTorch's fused kernel, its defaults, and `weight_decay` added to the gradient.

    The gradient of all parameters together is cut to the length `longest` first: to the same numbers as by
    `torch.nn.utils.clip_grad_norm_`, which sorts gradients by device and type each time.
    """

    def __init__(
        self, parameters: list[Tensor], learning_rate: float, weight_decay: float, longest: float = math.inf
    ) -> None:
        self.parameters, self.longest = parameters, longest
        self.rates = {"lr": learning_rate, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": weight_decay}
        self.means, self.squares = ([torch.zeros_like(each) for each in parameters] for _ in range(2))
        self.steps = [torch.zeros((), device=each.device) for each in parameters]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Change the parameters, all of which must have a gradient."""
        gradients = [parameter.grad for parameter in self.parameters]
        moments = (self.means, self.squares, [], self.steps)
        with torch.no_grad():
            length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            torch._foreach_mul_(gradients, (self.longest / (length + 1e-6)).clamp(max=1.0))
            adam(self.parameters, gradients, *moments, fused=True, amsgrad=False, maximize=False, **self.rates)
