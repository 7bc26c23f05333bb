"""The step form equals nn.LSTM and nn.GRU in value and gradient."""

import pytest
import torch

from kochi.layers.recurrent import RecurrentStack

ROWS, LENGTH, INPUT, HIDDEN = 3, 5, 7, 2


@pytest.fixture(params=["lstm", "gru"])
def stack(request):
    torch.manual_seed(1)
    return RecurrentStack(request.param, INPUT, HIDDEN, num_layers=2, dropout=0.0).double()


@pytest.fixture
def inputs():
    return torch.randn(ROWS, LENGTH, INPUT, dtype=torch.double, requires_grad=True)


def random_state(stack):
    shape = (stack.num_vectors, ROWS, HIDDEN)
    return tuple(torch.randn(shape, dtype=torch.double, requires_grad=True) for _ in range(2))


def run_steps(stack, inputs, state):
    outputs = []
    for x in inputs.unbind(1):
        output, state = stack.step(x, state)
        outputs.append(output)
    return torch.stack(outputs, 1)


def test_steps_equal_the_library_over_the_sequence(stack, inputs):
    state = random_state(stack)
    leaves = [inputs, *state, *stack.parameters()]
    grad = torch.randn(ROWS, LENGTH, HIDDEN, dtype=torch.double)
    expected = stack.sequence(inputs, state)
    stepped = run_steps(stack, inputs, state)
    torch.testing.assert_close(stepped, expected)
    for one, other in zip(
        torch.autograd.grad(stepped, leaves, grad),
        torch.autograd.grad(expected, leaves, grad),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_the_gradient_of_a_step_is_that_of_finite_differences(stack, inputs):
    state = random_state(stack)
    x = inputs[:, 0].detach().requires_grad_()

    def step(x, first, second):
        output, after = stack.step(x, (first, second))
        return output, *after

    assert torch.autograd.gradcheck(step, (x, *state))


def test_dropout_between_layers_acts_in_both_forms(inputs):
    torch.manual_seed(1)
    stack = RecurrentStack("lstm", INPUT, 64, num_layers=2, dropout=0.9).double()
    state = stack.start(ROWS, inputs)
    quiet = stack.eval().sequence(inputs, state)
    stack.train()
    assert not torch.allclose(stack.sequence(inputs, state), quiet)
    assert not torch.allclose(run_steps(stack, inputs, state), quiet)
