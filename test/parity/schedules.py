"""Writes schedules.json: rates over 100 epochs by torch.optim.lr_scheduler, and gradients clipped by torch.nn.utils.

Run: python3 test/parity/schedules.py

Each schedule drives two groups, with rates 0.1 and 0.01, of SGD with momentum 0.9, or of Adam. A case may write half the rate
into the first group after epoch 20, as others may at any time. A plateau case sees the values in "metrics". Gradients to be
clipped are drawn by the generator that optim.py describes.
"""
import json
import math
import os
import warnings

import torch
from torch.optim import lr_scheduler

from optim import camel_keys, Draw, flat

EPOCHS = 100
# What is made, by name or as a list of parts, and its options.
CASES = [
    ("StepLR", {"step_size": 30}),
    ("StepLR", {"step_size": 7, "gamma": 0.7}, {"halved": True}),
    ("MultiStepLR", {"milestones": [10, 30, 30, 80]}),
    ("MultiStepLR", {"milestones": [1, 99], "gamma": 0.5}, {"halved": True}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 40}, {"halved": True}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.01, "end_factor": 0.8, "total_iters": 60}, {"halved": True}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 50}),
    ("ExponentialLR", {"gamma": 0.95}),
    ("ExponentialLR", {"gamma": 1.01}, {"halved": True}),
    ("CosineAnnealingLR", {"T_max": 100}),
    ("CosineAnnealingLR", {"T_max": 13, "eta_min": 0.001}),
    ("CosineAnnealingLR", {"T_max": 30}, {"halved": True}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 101}),
    ("OneCycleLR", {"max_lr": [0.5, 0.2], "epochs": 15, "steps_per_epoch": 7, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 101, "three_phase": True, "pct_start": 0.25, "div_factor": 10.0}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 101, "cycle_momentum": False, "final_div_factor": 100.0}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 110, "base_momentum": 0.7, "max_momentum": [0.9, 0.8]}, {"adam": True}),
    (
        "SequentialLR",
        {"milestones": [10]},
        {"parts": [("LinearLR", {"start_factor": 0.1, "total_iters": 10}), ("CosineAnnealingLR", {"T_max": 90})]},
    ),
    (
        "SequentialLR",
        {"milestones": [5, 50]},
        {
            "parts": [
                ("ConstantLR", {"factor": 0.5, "total_iters": 3}),
                ("StepLR", {"step_size": 10, "gamma": 0.5}),
                ("MultiStepLR", {"milestones": [0, 5, 20], "gamma": 0.1}),
            ]
        },
    ),
    (
        "ChainedScheduler",
        {},
        {"parts": [("ConstantLR", {"factor": 0.1, "total_iters": 20}), ("ExponentialLR", {"gamma": 0.9})]},
    ),
    ("ReduceLROnPlateau", {}),
    ("ReduceLROnPlateau", {"patience": 3, "factor": 0.5, "cooldown": 4, "min_lr": [0.01, 0.001]}),
    ("ReduceLROnPlateau", {"mode": "max", "patience": 2, "threshold_mode": "abs", "threshold": 0.01, "factor": 0.7}),
    ("ReduceLROnPlateau", {"patience": 0, "threshold": 0.05, "factor": 0.9, "eps": 1e-3}),
]


def metric(epoch):
    return 1 + math.cos(epoch / 9) / (1 + epoch / 30)


def make(optimizer, name, options, parts):
    made = [getattr(lr_scheduler, part)(optimizer, **given) for part, given in parts]
    if name == "ChainedScheduler":
        return lr_scheduler.ChainedScheduler(made)
    if name == "SequentialLR":
        return lr_scheduler.SequentialLR(optimizer, made, **options)
    return getattr(lr_scheduler, name)(optimizer, **options)


def named(options):
    return {{"TMax": "tMax"}.get(name, name): value for name, value in camel_keys(options).items()}


def run(name, options, more=None):
    more = more or {}
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.01)]
    if more.get("adam"):
        optimizer = torch.optim.Adam(groups)
    else:
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    parts = more.get("parts", [])
    schedule = make(optimizer, name, options, parts)
    rates = lambda: [group["lr"] for group in optimizer.param_groups]
    momenta = lambda: [group["betas"][0] if more.get("adam") else group["momentum"] for group in optimizer.param_groups]
    lrs, all_momenta = [rates()], [momenta()]
    for epoch in range(EPOCHS):
        optimizer.step()
        if more.get("halved") and epoch == 20:
            optimizer.param_groups[0]["lr"] /= 2
        schedule.step(*([metric(epoch)] if name == "ReduceLROnPlateau" else []))
        lrs.append(rates())
        all_momenta.append(momenta())
    return {
        "schedule": name,
        "options": named(options),
        "parts": [{"schedule": part, "options": named(given)} for part, given in parts],
        "isAdam": more.get("adam", False),
        "isHalved": more.get("halved", False),
        "lrs": lrs,
        **({"momenta": all_momenta} if name == "OneCycleLR" else {}),
    }


CLIPPED_SHAPES = [[3, 4], [5], []]
NORMS = [(1.0, 2.0), (100.0, 2.0), (0.5, 1.0), (0.1, math.inf), (1.0, 3.0), (0.0, 2.0)]


def parameters_with_gradients(is_sparse):
    draw = Draw()
    if is_sparse:
        shapes = [[6, 3], [9]]
        gradients = [draw.rows(shape) for shape in shapes]
    else:
        shapes = CLIPPED_SHAPES
        gradients = [draw.tensor(shape) for shape in shapes]
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient.coalesce() if is_sparse else gradient
    return parameters


def clip_norm(max_norm, norm_type, is_sparse=False):
    parameters = parameters_with_gradients(is_sparse)
    total = torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
    return {
        "isSparse": is_sparse,
        "maxNorm": max_norm,
        "normType": "Infinity" if norm_type == math.inf else norm_type,
        "totalNorm": total.item(),
        # PyTorch 1.13 has the right norm of sparse gradients, but scales a copy: they stay as they are.
        "gradients": [] if is_sparse else [flat(parameter.grad) for parameter in parameters],
    }


def clip_value(value):
    parameters = parameters_with_gradients(False)
    torch.nn.utils.clip_grad_value_(parameters, value)
    return {"clipValue": value, "gradients": [flat(parameter.grad) for parameter in parameters]}


warnings.simplefilter("ignore")
target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedules.json")
with open(target, "w") as file:
    golden = {
        "torch": torch.__version__,
        "clippedShapes": CLIPPED_SHAPES,
        "metrics": [metric(epoch) for epoch in range(EPOCHS)],
        "schedules": [run(*case) for case in CASES],
        "norms": [clip_norm(*case) for case in NORMS] + [clip_norm(1.0, 2.0, True), clip_norm(0.5, 1.0, True)],
        "values": [clip_value(value) for value in (0.3, 2.0, 0.0)],
    }
    json.dump(golden, file, separators=(",", ":"))
    file.write("\n")
