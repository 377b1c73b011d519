"""Writes optim.json: what the optimizers of torch.optim make of 50 steps. Run: python3 test/parity/optim.py

Start values and gradients are not stored. Both sides draw them from one generator, exact in float32:

    x <- (1664525 * x + 1013904223) mod 2^32, starting from SEED;  value = (x >> 8) / 2^23 - 1, in [-1, 1)

Each case starts it anew: first the values of all parameters in order, then, step by step (1 to 50), the gradients of all
parameters in order, drawn also where not used: the second parameter has no gradient in every seventh step (7, 14, ...).

A sparse gradient is drawn as its row numbers, floor((value + 1) / 2 * rows) for each of ROWS values, and then the contents
of these rows; a row may come twice.
"""
import json
import os

import torch

SEED = 12345
SHAPES = {"dense": [[3, 4], [5], [2, 1, 3], []], "sparse": [[6, 3], [9], [5, 2, 2]]}
ROWS = 4
STEPS = 50
KEPT = (1, 10, 50)
# Optimizer, options, and where there are groups the options of each; the first takes the first two parameters.
DENSE = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.001, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.3}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.1, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.95, "dampening": 0.95, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.0, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}, [{"lr": 0.01}, {"momentum": 0.0, "weight_decay": 0.1}]),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "amsgrad": True}),
    ("Adam", {"lr": 0.02, "amsgrad": True, "weight_decay": 0.01, "maximize": True}),
    ("Adam", {"lr": 0.02}, [{"betas": (0.5, 0.9)}, {"lr": 0.1, "amsgrad": True}]),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.5}),
    ("AdamW", {"lr": 0.02, "amsgrad": True, "betas": (0.7, 0.9)}),
    ("AdamW", {"lr": 0.02, "maximize": True, "weight_decay": 0.0}),
    ("AdamW", {"lr": 0.02}, [{"weight_decay": 0.0}, {"lr": 0.01, "weight_decay": 0.2}]),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.05}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3, "maximize": True}),
    ("Adagrad", {"lr": 0.1}, [{"lr_decay": 0.01}, {"lr": 0.02}]),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.95, "eps": 1e-3, "weight_decay": 0.01}),
    ("Adadelta", {"maximize": True}, [{"rho": 0.5}, {"lr": 0.1}]),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1, "eps": 1e-3}),
    ("Adamax", {"lr": 0.05, "maximize": True}, [{"betas": (0.5, 0.6)}, {"lr": 0.01}]),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.02, "centered": True}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "centered": True, "momentum": 0.5, "weight_decay": 0.01}),
    ("RMSprop", {"lr": 0.02, "maximize": True}, [{"centered": True}, {"momentum": 0.8}]),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2)}),
    ("Rprop", {"lr": 0.05, "maximize": True}, [{"etas": (0.6, 1.1)}, {"lr": 0.2}]),
]
SPARSE = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "maximize": True}, [{}, {"lr": 0.02}]),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "dampening": 0.2}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1}, [{"eps": 1e-2}, {"lr": 0.02}]),
    ("SparseAdam", {}),
    ("SparseAdam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4}),
    ("SparseAdam", {"lr": 0.05, "maximize": True}),
    ("SparseAdam", {"lr": 0.05}, [{"betas": (0.5, 0.9)}, {"lr": 0.01}]),
]


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def camel_keys(options):
    return {camel(name): value for name, value in options.items()}


class Draw:
    def __init__(self):
        self.x = SEED

    def values(self, count):
        values = []
        for _ in range(count):
            self.x = (1664525 * self.x + 1013904223) % 2**32
            values.append((self.x >> 8) / 2**23 - 1)
        return values

    def tensor(self, shape):
        values = self.values(torch.Size(shape).numel())
        return torch.tensor(values, dtype=torch.float32).reshape(shape)

    def rows(self, shape):
        numbers = [int((value + 1) / 2 * shape[0]) for value in self.values(ROWS)]
        contents = self.tensor([ROWS, *shape[1:]])
        return torch.sparse_coo_tensor([numbers], contents, shape)


def flat(tensor):
    tensor = tensor.detach()
    tensor = tensor.to_dense() if tensor.is_sparse else tensor
    # Nine digits tell every float32 from its neighbours.
    return [float(f"{value:.9g}") for value in tensor.reshape(-1).tolist()]


def state_of(optimizer, parameter):
    tensors = {name: value for name, value in optimizer.state[parameter].items() if name != "step"}
    return {camel(name): flat(value) for name, value in tensors.items() if torch.is_tensor(value)}


def run(kind, name, options, groups=None):
    draw = Draw()
    shapes = SHAPES[kind]
    parameters = [torch.nn.Parameter(draw.tensor(shape)) for shape in shapes]
    given = parameters
    if groups is not None:
        first, second = groups
        given = [{"params": parameters[:2], **first}, {"params": parameters[2:], **second}]
    optimizer = getattr(torch.optim, name)(given, **options)
    at = {}
    for step in range(1, STEPS + 1):
        for index, parameter in enumerate(parameters):
            gradient = draw.rows(shapes[index]) if kind == "sparse" else draw.tensor(shapes[index])
            parameter.grad = None if index == 1 and step % 7 == 0 else gradient
        optimizer.step()
        if step in KEPT:
            at[step] = [flat(parameter) for parameter in parameters]
    case = {
        "kind": kind,
        # SparseAdam is what our Adam makes of sparse gradients.
        "optimizer": "Adam" if name == "SparseAdam" else name,
        "options": camel_keys(options),
        "at": at,
        "state": [state_of(optimizer, parameter) for parameter in parameters],
    }
    return case if groups is None else {**case, "groups": [camel_keys(group) for group in groups]}


if __name__ == "__main__":
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optim.json")
    with open(target, "w") as file:
        golden = {
            "torch": torch.__version__,
            "seed": SEED,
            "shapes": SHAPES,
            "rows": ROWS,
            "steps": STEPS,
            "cases": [run("dense", *case) for case in DENSE] + [run("sparse", *case) for case in SPARSE],
        }
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")
