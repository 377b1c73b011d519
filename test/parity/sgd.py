"""Writes sgd.json: what torch.optim.SGD makes of 50 steps. Run: python3 test/parity/sgd.py

Start values and gradients are not stored. Both sides draw them from one generator, exact in float32:

    x <- (1664525 * x + 1013904223) mod 2^32, starting from SEED;  value = (x >> 8) / 2^23 - 1, in [-1, 1)

Each case starts it anew: first the values of all parameters in order, then, step by step (1 to 50), the gradients of all
parameters in order, drawn also where not used: the second parameter has no gradient in every seventh step (7, 14, ...).
"""
import json
import os

import torch

SEED = 12345
SHAPES = [[3, 4], [5], [2, 1, 3], []]
STEPS = 50
CASES = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.01},
    {"lr": 0.05, "momentum": 0.9},
    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.001},
    {"lr": 0.1, "momentum": 0.8, "dampening": 0.3},
    {"lr": 0.02, "momentum": 0.9, "nesterov": True},
    {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.1, "nesterov": True},
    {"lr": 0.1, "momentum": 0.95, "dampening": 0.95, "weight_decay": 0.02},
    {"lr": 0.0, "momentum": 0.9},
]
CAMEL = {"weight_decay": "weightDecay"}


class Draw:
    def __init__(self):
        self.x = SEED

    def tensor(self, shape):
        values = []
        for _ in range(torch.Size(shape).numel()):
            self.x = (1664525 * self.x + 1013904223) % 2**32
            values.append((self.x >> 8) / 2**23 - 1)
        return torch.tensor(values, dtype=torch.float32).reshape(shape)


def flat(tensors):
    return [t.detach().reshape(-1).tolist() for t in tensors]


def run(options):
    draw = Draw()
    parameters = [torch.nn.Parameter(draw.tensor(shape)) for shape in SHAPES]
    optimizer = torch.optim.SGD(parameters, **options)
    at = {}
    for step in range(1, STEPS + 1):
        for index, parameter in enumerate(parameters):
            gradient = draw.tensor(SHAPES[index])
            parameter.grad = None if index == 1 and step % 7 == 0 else gradient
        optimizer.step()
        if step == 1 or step % 10 == 0:
            at[step] = flat(parameters)
    buffers = [optimizer.state[p].get("momentum_buffer") for p in parameters]
    return {
        "options": {CAMEL.get(name, name): value for name, value in options.items()},
        "at": at,
        "momentumBuffers": flat(buffers) if "momentum" in options else None,
    }


target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sgd.json")
with open(target, "w") as file:
    golden = {
        "torch": torch.__version__,
        "seed": SEED,
        "shapes": SHAPES,
        "steps": STEPS,
        "cases": [run(options) for options in CASES],
    }
    json.dump(golden, file, separators=(",", ":"))
    file.write("\n")
