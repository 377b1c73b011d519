"""Writes tensor/conformance/gen/goldens.ts: results and gradients of PyTorch, in float64, for the cases of
tensor/conformance. Run: python3 test/parity/gradients.py

Inputs are not stored. Both sides make them by the formulas of tensor/conformance/case.ts (here `elements`), computed in
float64 and rounded to float32. A case is one line: its name, what computes it, the shapes of its inputs, and for layers those
of its weights. The gradient is that of the sum of all results times `factors`. Images have their channels last, as in tfjs.
"""
import base64
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

FACTORS = [7919, 7907, 7901, 7883, 7879]
CASES = {}
torch.set_default_dtype(torch.float64)


def elements(kind, size, position):
    i = np.arange(size, dtype=np.float64)
    if kind == "ties":
        return ((i * i) % 5) / 2 - 1
    if kind == "whole":
        return (i * 7) % 11 - 5
    factor = FACTORS[position] if position < 5 else 7877
    scale = 2 - 0.17 * position
    values = (((i * factor + position) % size) + 0.37) * ((2 * scale) / size) - scale if size else i
    return values.astype(np.float32).astype(np.float64)


def weight_elements(name, size, position):
    values = elements("smooth", size, position % 5)
    values = np.abs(values) + 0.5 if name == "variance" else values / 2
    return values.astype(np.float32).astype(np.float64)


def factors(size):
    return np.cos(1.3 * np.arange(size) + 0.5).astype(np.float32).astype(np.float64)


def case(name, fn, *shapes, kind="smooth", weights=(), state=()):
    """`state` are weights that are not trained; those after '=' of a shape are variances."""
    assert name not in CASES, name
    CASES[name] = (fn, shapes, kind, weights, state)


def layer(name, fn, *shapes, weights=(), state=()):
    case("layers." + name, fn, *shapes, weights=weights, state=state)


def tensor(values, shape, grad):
    return torch.tensor(values.reshape(shape)).requires_grad_(grad)


def run(fn, shapes, kind, weights, state):
    size = lambda shape: int(np.prod(shape)) if len(shape) else 1
    has_gradient = kind in ("smooth", "ties")
    xs = [tensor(elements(kind, size(s), i), s, has_gradient) for i, s in enumerate(shapes)]
    for i, s in enumerate([*weights, *state]):
        name = "variance" if isinstance(s, Variance) else ""
        xs.append(tensor(weight_elements(name, size(s), len(shapes) + i), s, i < len(weights)))
    ys = fn(*xs)
    ys = list(ys) if isinstance(ys, (list, tuple)) else [ys]
    wrt = [x for x in xs if x.requires_grad]
    gradients = []
    if has_gradient:
        floats = [y for y in ys if y.dtype.is_floating_point]
        total = sum((y * torch.tensor(factors(y.numel())).reshape(y.shape)).sum() for y in floats)
        gradients = torch.autograd.grad(total, wrt)
    return [list(map(packed, ys)), list(map(packed, gradients))]


def packed(t):
    return base64.b64encode(t.detach().numpy().astype("<f4").tobytes()).decode()


class Variance(list):
    pass


# --- elements -------------------------------------------------------------------------------------------------------

away = lambda x: x.abs() + 0.3
inside = lambda x: x.tanh() * 0.9
N9, P34 = [9], [3, 4]

for name in "abs atan asinh sin cos sinh cosh tanh exp expm1 square neg erf floor ceil sign".split():
    case(name, getattr(torch, name), N9)
for name in "acos asin atanh tan".split():
    case(name, lambda x, f=getattr(torch, name): f(inside(x)), N9)
for name in "log log1p sqrt rsqrt reciprocal".split():
    case(name, lambda x, f=getattr(torch, name): f(away(x)), N9)
case("acosh", lambda x: torch.acosh(away(x) + 1), N9)
case("sigmoid", lambda x: torch.sigmoid(4 * x), N9)
case("logSigmoid", F.logsigmoid, N9)
case("softplus", lambda x: F.softplus(x, threshold=99), N9)
case("softplus of large numbers", lambda x: F.softplus(40 * x, threshold=99), N9)
case("relu", F.relu, N9)
case("relu6", lambda x: F.relu6(5 * x), N9)
case("leakyRelu", lambda x: F.leaky_relu(x, 0.3), N9)
case("elu", F.elu, N9)
case("selu", F.selu, N9)
case("clipByValue", lambda x: x.clamp(-0.7, 1.1), N9)
case("round", torch.round, [8])
case("step", lambda x: torch.where(x > 0, 1.0, 0.3) + 0 * x, N9)
for name, fn in {"abs": torch.abs, "relu": F.relu, "leakyRelu": lambda x: F.leaky_relu(x, 0.2)}.items():
    case(f"{name}, equal elements", fn, [7], kind="ties")
case("clipByValue, equal elements", lambda x: x.clamp(-0.5, 0.5), [7], kind="ties")
case("sign, equal elements", torch.sign, [9], kind="ties")
case("round to even, equal elements", lambda x: torch.round(x + 3), [9], kind="ties")
case("pow of 0, equal elements", lambda x: x**2, [7], kind="ties")
for name in "add sub mul maximum minimum atan2".split():
    case(name, getattr(torch, name), P34, P34)
case("div", lambda a, b: a / (b.abs() + 0.5), P34, P34)
case("divNoNan", lambda a, b: a / (b.abs() + 0.5), P34, P34)
case("pow", lambda a, b: away(a) ** b, P34, P34)
case("pow of negatives", lambda a: a**3, N9)
case("pow of negatives, even", lambda a: a**2, N9)
case("squaredDifference", lambda a, b: (a - b) ** 2, P34, P34)
case("mod", lambda a, b: torch.remainder(a * 0.4, b.abs() + 0.9), P34, P34)
case("prelu", lambda x, a: torch.where(x > 0, x, a * x), P34, P34)
alternating = lambda *shape: torch.tensor(np.arange(int(np.prod(shape))).reshape(shape) % 2 == 1)
case("where", lambda a, b: torch.where(alternating(3, 4), a, b), P34, P34)
case("where, broadcast", lambda a, b: torch.where(alternating(4), a, b), [2, 3, 4], [4])
case("addN", lambda a, b, c: a + b + c, [2, 3], [2, 3], [2, 3])
case("softmax", lambda x: x.softmax(-1), [3, 5])
case("logSoftmax", lambda x: x.log_softmax(-1), [3, 5])
case("softmax of large numbers", lambda x: (200 * x).softmax(-1), [3, 5])

# --- arrays ---------------------------------------------------------------------------------------------------------

picked = lambda x, shape, axis, ids: x.index_select(axis, torch.tensor(ids).flatten()).reshape(shape)
case("gather", lambda x: [picked(x, [3, 3, 4], 0, [2, 0, 0]), picked(x, [3, 1, 4], 1, [1]),
                          picked(x, [3, 3, 3], 2, [3, 3, 0]), picked(x, [3, 2, 2, 4], 1, [[0, 2], [1, 1]])], [3, 3, 4])
by_batch = lambda x, axis: torch.stack([x[i].index_select(axis, torch.tensor(ids)) for i, ids in enumerate([[0, 2], [1, 1]])])
case("gather by batches", lambda x: by_batch(x, 0), [2, 3, 4])
case("gather by batches, second axis", lambda x: by_batch(x, 1), [2, 3, 4])
case("gatherND", lambda x: [x[[0, 2, 0], [1, 2, 1]], x[[1, 1]]], [3, 4])
case("slice", lambda x: [x[1:2, :2, 1:], x[1:], x[:2, 1:1]], [2, 3, 4])
case("slice of ranks 1, 2, 4", lambda x: [x[5:12], x.reshape(4, 6)[1:3, 2:5], x.reshape(2, 3, 2, 2)[:, 1:2, 1:2]], [24])
case("split", lambda x: [*x.split(2, 1), *x.split([1, 2], 2)], [2, 4, 3])
case("split and unstack of one", lambda x: [x, x[0]], [1, 3])
case("unstack", lambda x: [*x.unbind(), *x.unbind(1)], [2, 3])
case("concat", lambda a, b, c: [torch.cat([a, b], 1), torch.cat([c, b, c])], [2, 3], [2, 4], [1, 4])
case("concat, last of rank 3", lambda a, b: torch.cat([a, b, a], 2), [2, 2, 3], [2, 2, 1])
case("concat with nothing", lambda a, b: torch.cat([a, b]), [0, 3], [2, 3])
case("stack", lambda a, b: [torch.stack([a, b], i) for i in (0, 1, -1)], [2, 3], [2, 3])
case("pad", lambda x: F.pad(x, (2, 0, 0, 1, 1, 2), value=-1.5), [2, 3, 4])
case("pad of ranks 1 and 4", lambda x: [F.pad(x, (2, 1)), F.pad(x.reshape(1, 3, 2, 2), (0, 1, 2, 0, 1, 1), value=3)], [12])


def mirrored(x, pads, mode):
    return x.flatten()[torch.tensor(np.pad(np.arange(x.numel()).reshape(x.shape), pads, mode))]


case("mirrorPad reflect", lambda x: F.pad(x[None], (1, 2, 2, 1), mode="reflect")[0], P34)
case("mirrorPad symmetric", lambda x: mirrored(x, [(3, 1), (0, 2)], "symmetric"), P34)
case("mirrorPad of rank 3", lambda x: mirrored(x, [(1, 0), (2, 1), (0, 2)], "reflect"), [2, 3, 4])
case("tile", lambda x: [x.tile(1, 2, 1), x.tile(2, 1, 3)], [2, 3, 4])
case("broadcastTo", lambda x: x.expand(4, 2, 3), [2, 3])
case("reshape, expandDims, squeeze", lambda x: [x.reshape(-1, 2), x.unsqueeze(1), x], [2, 3, 4])

# --- windows --------------------------------------------------------------------------------------------------------


def many(value, n):
    return list(value) if isinstance(value, (list, tuple)) else [value] * n


def same(size, kernel, stride, dilation=1):
    total = max((math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def padded(x, kernel, strides, pad, dilations=1, value=0.0):
    """Of an image with channels first; `pad` is 'same', 'valid' or a number or pair for each axis."""
    n = x.ndim - 2
    strides, dilations = many(strides, n), many(dilations, n)
    if pad == "valid":
        return x
    if pad == "same":
        pad = [same(x.shape[2 + i], kernel[i], strides[i], dilations[i]) for i in range(n)]
    else:
        pad = [p if isinstance(p, tuple) else (p, p) for p in many(pad, n)]
    return F.pad(x, [p for pair in reversed(pad) for p in pair], value=value)


def conv(x, k, strides=1, pad="valid", dilations=1):
    n = x.ndim - 2
    run = [F.conv1d, F.conv2d, F.conv3d][n - 1]
    x = padded(first(x), k.shape[:n], strides, pad, dilations)
    kernel = k.permute(n + 1, n, *range(n))
    return last(run(x, kernel, stride=many(strides, n), dilation=many(dilations, n)))


def depthwise(x, k, strides=1, pad="valid", dilations=1):
    height, width, channels, each = k.shape
    x = padded(first(x), k.shape[:2], strides, pad, dilations)
    kernel = k.permute(2, 3, 0, 1).reshape(channels * each, 1, height, width)
    return last(F.conv2d(x, kernel, stride=strides, dilation=dilations, groups=channels))


def separable(x, a, b, strides=1, pad="valid"):
    return conv(depthwise(x, a, strides, pad), b)


def conv_transpose(x, k, strides, pad="valid"):
    n = x.ndim - 2
    strides = many(strides, n)
    run = [None, F.conv_transpose2d, F.conv_transpose3d][n - 1]
    y = run(first(x), k.permute(n + 1, n, *range(n)), stride=strides)
    if pad == "same":
        for i in range(n):
            size = x.shape[1 + i] * strides[i]
            y = y.narrow(2 + i, same(size, k.shape[i], strides[i])[0], size)
    return last(y)


def max_pool(x, size, strides, pad="valid", dilations=1):
    n = x.ndim - 2
    size = many(size, n)
    x = padded(first(x), size, strides, pad, dilations, value=-math.inf)
    return last([F.max_pool1d, F.max_pool2d, F.max_pool3d][n - 1](x, size, many(strides, n), dilation=dilations))


def avg_pool(x, size, strides, pad="valid"):
    n = x.ndim - 2
    size = many(size, n)
    run = lambda x: [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][n - 1](padded(first(x), size, strides, pad), size, many(strides, n))
    return last(run(x) / run(torch.ones_like(x)))


case("conv1d", lambda x, k: conv(x, k, 1, "same"), [2, 7, 3], [3, 3, 2])
case("conv1d dilated", lambda x, k: conv(x, k, 1, "valid", 3), [2, 9, 2], [3, 2, 3])
case("conv2d valid", conv, [2, 5, 6, 2], [3, 2, 2, 3])
case("conv2d same, strides", lambda x, k: conv(x, k, [2, 1], "same"), [2, 5, 6, 2], [3, 3, 2, 2])
case("conv2d with pads", lambda x, k: conv(x, k, 1, [(1, 0), (0, 2)]), [2, 4, 4, 2], [3, 3, 2, 2])
case("conv2d dilated", lambda x, k: conv(x, k, 1, "valid", 2), [1, 6, 6, 2], [2, 3, 2, 2])
case("conv2d dilated, same", lambda x, k: conv(x, k, 1, "same", [2, 1]), [2, 5, 4, 2], [3, 2, 2, 3])
case("conv2d transposed", lambda x, k: conv_transpose(x, k, 2), [2, 2, 3, 3], [3, 3, 2, 3])
case("conv2d fused", lambda x, k, b: torch.sigmoid(conv(x, k, 1, "same") + b), [2, 4, 4, 2], [3, 3, 2, 2], [2])
case("depthwiseConv2d", lambda x, k: depthwise(x, k, 1, "same"), [2, 4, 5, 2], [3, 2, 2, 2])
case("depthwiseConv2d, stride 2", lambda x, k: depthwise(x, k, 2), [2, 5, 7, 2], [3, 3, 2, 2])
case("depthwiseConv2d dilated", lambda x, k: depthwise(x, k, 1, "valid", 2), [1, 6, 6, 2], [2, 3, 2, 1])
case("depthwiseConv2d dilated, same", lambda x, k: depthwise(x, k, 1, "same", [1, 3]), [1, 5, 6, 2], [2, 3, 2, 2])
case("depthwiseConv2d fused", lambda x, k, b: F.relu6(depthwise(x, k, 1, "same") + b), [2, 4, 4, 2], [3, 3, 2, 2], [4])
case("separableConv2d", separable, [1, 4, 5, 2], [2, 2, 2, 2], [1, 1, 4, 3])
case("conv3d valid", conv, [1, 4, 4, 4, 2], [2, 2, 2, 2, 3])
case("conv3d same", lambda x, k: conv(x, k, 1, "same"), [2, 3, 3, 4, 2], [3, 2, 3, 2, 2])
case("conv3d same, stride 2", lambda x, k: conv(x, k, 2, "same"), [1, 4, 5, 4, 2], [3, 3, 3, 2, 2])
case("conv3d valid, strides", lambda x, k: conv(x, k, [1, 2, 3]), [2, 3, 5, 7, 1], [2, 2, 2, 1, 2])
case("conv3d dilated", lambda x, k: conv(x, k, 1, "same", [2, 1, 2]), [1, 4, 3, 5, 2], [2, 2, 2, 2, 3])
case("conv3d transposed", lambda x, k: conv_transpose(x, k, 2), [1, 2, 2, 2, 2], [3, 3, 3, 2, 2])
case("conv3d transposed, same", lambda x, k: conv_transpose(x, k, [1, 2, 2], "same"), [1, 3, 2, 3, 1], [3, 2, 3, 2, 1])
case("maxPool", lambda x: max_pool(x, 2, 2), [2, 4, 6, 3])
case("maxPool same, overlapping", lambda x: max_pool(x, 3, 2, "same"), [2, 5, 5, 2])
case("maxPool of negatives", lambda x: max_pool(x - 3, [3, 2], 1, "same"), [2, 4, 4, 2])
case("maxPool with padding", lambda x: max_pool(x - 3, 3, 2, 1), [2, 6, 6, 2])
case("maxPool3d", lambda x: max_pool(x - 3, 2, 2), [2, 4, 2, 4, 2])
case("maxPool3d same", lambda x: max_pool(x - 3, [2, 3, 2], 2, "same"), [1, 3, 5, 3, 2])
case("avgPool", lambda x: avg_pool(x, [3, 2], [2, 1]), [2, 5, 4, 2])
case("avgPool same", lambda x: avg_pool(x, 3, 2, "same"), [2, 5, 4, 2])
case("avgPool same, stride 1", lambda x: avg_pool(x, 2, 1, "same"), [2, 3, 4, 3])
case("avgPool with padding", lambda x: avg_pool(x, 3, 2, 1), [1, 6, 6, 2])
case("avgPool3d", lambda x: avg_pool(x, 2, 2), [2, 4, 2, 4, 2])
case("avgPool3d same", lambda x: avg_pool(x, [2, 3, 2], [2, 1, 2], "same"), [2, 3, 4, 3, 2])
case("pool avg same", lambda x: avg_pool(x, 2, 1, "same"), [1, 5, 4, 2])
case("pool max dilated", lambda x: max_pool(x, 2, 1, "valid", [2, 1]), [1, 6, 5, 2])


def response(x, radius, bias, alpha, beta):
    size = 2 * radius + 1
    return last(F.local_response_norm(first(x), size, alpha * size, beta, bias))


case("localResponseNormalization", lambda x: response(x, 5, 1, 1, 0.5), [2, 2, 3, 6])
case("localResponseNormalization, all set", lambda x: response(x, 2, 1.5, 0.7, 0.8), [1, 3, 3, 7])
resized = lambda x, size, mode, align=None: last(F.interpolate(first(x), size, mode=mode, align_corners=align))
case("resizeBilinear, corners aligned", lambda x: resized(x, [3, 9], "bilinear", True), [2, 4, 5, 2])
case("resizeBilinear, half pixels", lambda x: resized(x, [8, 10], "bilinear", False), [1, 4, 5, 2])
case("resizeNearestNeighbor", lambda x: resized(x, [7, 3], "nearest"), [2, 4, 5, 2])
case("resizeNearestNeighbor, half pixels", lambda x: resized(x, [8, 3], "nearest-exact"), [1, 4, 5, 2])

# --- products and reductions ----------------------------------------------------------------------------------------

for ta in (False, True):
    for tb in (False, True):
        turned = lambda x, is_turned: x.mT if is_turned else x
        case(f"matMul {ta} {tb}".lower().replace("matmul", "matMul"),
             lambda a, b, ta=ta, tb=tb: turned(a, ta) @ turned(b, tb), [5, 3] if ta else [3, 5], [4, 5] if tb else [5, 4])
DENSE = [3, 4], [4, 5], [5]
case("matMul fused", lambda a, b, c: F.elu(F.linear(a, b.T, c)), *DENSE)
for name, fn in {"relu": F.relu, "relu6": F.relu6, "sigmoid": torch.sigmoid, "leakyrelu": lambda x: F.leaky_relu(x, 0.3), "linear": lambda x: x}.items():
    case(f"matMul fused, {name}", lambda a, b, c, fn=fn: fn(F.linear(a, b.T, c)), *DENSE)
case("matMul fused, prelu", lambda a, b, s: torch.where(a @ b > 0, a @ b, a @ b * s), *DENSE)
case("matMul of nothing", lambda a, b: a @ b, [2, 0], [0, 3])
case("dot and outerProduct", lambda a, b: [a.dot(b), torch.outer(a, b)], [4], [4])
case("dot of matrix and vector", torch.mv, P34, [4])
case("einsum", lambda a, b: torch.einsum("bij,bjk->bik", a, b), [2, 3, 4], [2, 4, 2], kind="forward")

AXES = [(0, 1, 2), 0, 1, -1, (0, 2), (1, 2)]


def over(reduce):
    return lambda x: [*(reduce(x, axis, False) for axis in AXES), reduce(x, 1, True), reduce(x, (0, 2), True)]


def product(x, axis, keep):
    for one in sorted(many(axis, 1), reverse=True):
        x = x.prod(one, keepdim=keep)
    return x


for name, fn in {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin, "logSumExp": torch.logsumexp, "prod": product}.items():
    case(name, over(fn), [2, 3, 4])
case("max of negatives", lambda x: (x - 3).amax(1), [2, 3, 4])
case("min of positives", lambda x: (x + 3).amin(1), [2, 3, 4])
case("norm", lambda x: [x.norm(), x.norm(p=1, dim=1), x.norm(dim=(0, 2))], [2, 3, 4])
case("euclideanNorm", lambda x: x.norm(dim=1), P34)
case("moments", lambda x: [x.mean((0, 2)), x.var((0, 2), unbiased=False)], [2, 3, 4])
case("moments of all", lambda x: [x.mean(), x.var(unbiased=False)], P34)
case("cumsum false false", lambda x: [x.cumsum(i) for i in range(3)], [2, 3, 4])
case("cumsum false true", lambda x: [x.flip(i).cumsum(i).flip(i) for i in range(3)], [2, 3, 4])
case("cumsum true false", lambda x: [x.cumsum(i) - x for i in range(3)], [2, 3, 4])
case("cumsum true true", lambda x: [x.flip(i).cumsum(i).flip(i) - x for i in range(3)], [2, 3, 4])
case("cumprod false false", lambda x: [x.cumprod(i) for i in range(3)], [2, 3, 4], kind="forward")
case("topk", lambda x: list(x.topk(3)), [2, 5], kind="forward")
case("unsortedSegmentSum", lambda x: torch.zeros(4, 3).index_add(0, torch.tensor([0, 2, 0, 1, 2]), x), [5, 3])
case("reverse", lambda x: [x.flip(0, 1, 2), x.flip(1), x.flip(0, 2)], [2, 3, 4])
case("transpose", lambda x: [x.permute(2, 1, 0), x.permute(1, 0, 2), x.permute(2, 0, 1)], [2, 3, 4])
case("transpose of rank 5", lambda x: x.permute(4, 0, 3, 1, 2), [2, 3, 1, 2, 3])
case("scatterND, repeated", lambda x: torch.zeros(6, 2).index_add(0, torch.tensor([4, 0, 4]), x), [3, 2], kind="forward")
case("diag, ringed", torch.diag, [3], kind="forward")

# --- losses and composites ------------------------------------------------------------------------------------------

target = torch.tensor([0, 2, 3])
labels = torch.tensor(np.arange(12).reshape(3, 4) % 2.0)
share = lambda x: torch.sigmoid(x) * 0.8 + 0.1
log_loss = lambda a, b: -(a * torch.log(b + 1e-7) + (1 - a) * torch.log(1 - b + 1e-7)).mean()
case("softmaxCrossEntropy", lambda x: F.cross_entropy(x, target), P34)
case("softmaxCrossEntropy, smoothed", lambda x: F.cross_entropy(x, target, label_smoothing=0.2), P34)
case("sigmoidCrossEntropy", lambda x: F.binary_cross_entropy_with_logits(x, torch.ones(5)), [5])
case("sigmoidCrossEntropy of labels", lambda x: F.binary_cross_entropy_with_logits(x, labels), P34)
case("huberLoss", lambda x: F.huber_loss(x, torch.zeros(3, 4)), P34)
case("huberLoss, delta 0.5", lambda a, b: F.huber_loss(b, a, delta=0.5), P34, P34)
case("cosineDistance", lambda a, b: (1 - (a * b).sum(1)).mean(), P34, P34)
case("hingeLoss", lambda x: F.relu(1 - x).mean(), [6])
case("hingeLoss of labels", lambda x: F.relu(1 - (2 * labels - 1) * x).mean(), P34)
case("absoluteDifference", F.l1_loss, P34, P34)
case("meanSquaredError", F.mse_loss, P34, P34)
case("meanSquaredError, weighted", lambda a, b, w: ((a - b) ** 2 * w).mean(), P34, P34, [3, 1])
case("meanSquaredError, weighted mean", lambda a, b, w: ((a - b) ** 2 * away(w)).sum() / (4 * away(w)).sum(), P34, P34, [3, 1])
case("meanSquaredError, weighted sum", lambda a, b, w: ((a - b) ** 2 * w).sum(), P34, P34, [3, 1])
case("logLoss", lambda a, b: log_loss(share(a), share(b)), P34, P34)
case("computeWeightedLoss", lambda a, w: (a * w).mean(), P34, P34)
normed = lambda x, m, v, o, s: (x - m) / torch.sqrt(v.abs() + 1 + 1e-3) * s + o
case("batchNorm", normed, [2, 3, 2, 4], [4], [4], [4], [4])
case("batchNorm along other axes", normed, [2, 3, 4], *[[1, 3, 1]] * 4)
case("batchNorm by moments", lambda x, s, o: F.batch_norm(x, None, None, s, o, True, eps=1e-3), [6, 4], [4], [4])
case("layer normalization by moments", lambda x: F.layer_norm(x, [6], eps=1e-5), [4, 6])
case("gelu", F.gelu, [4, 5])
case("pow of exp of log", lambda x: away(x) ** 1.5, N9)


def qr(x):
    q, r = torch.linalg.qr(x)
    signs = r.diagonal().sign()
    return [q * signs, r * signs[:, None]]


case("qr, signs aside", qr, [3, 3])
case("bandPart", lambda x: x.tril() - x.tril(-2), P34)
case("grayscaleToRGB", lambda x: x.expand(2, 3, 3), [2, 3, 1])
case("meshgrid", lambda a, b: torch.meshgrid(a, b, indexing="xy"), [3], [4])
case("frames of a signal", lambda x: x.unfold(0, 4, 2), [10])
case("ensureShape, cast", lambda x: x + 0, [2, 3])
case("masked by comparisons", lambda a, b: a * b * ((a < 1) & ~(b <= -1) & ((a >= b) | (a != b))) + 1, P34, P34)
case("masked by kinds of numbers", lambda x: x**2, P34)
case("floorDiv", lambda a, b: a * torch.div(a, away(b), rounding_mode="floor"), P34, P34)
apart = lambda z: [z.real, z.imag]
case("fft", lambda a, b: apart(torch.fft.fft(torch.complex(a, b))), [2, 8], [2, 8], kind="forward")
case("ifft", lambda a, b: apart(torch.fft.ifft(torch.complex(a, b))), [6], [6], kind="forward")
case("rfft, irfft", lambda x: [*apart(torch.fft.rfft(x)), x], [2, 8], kind="forward")
case("abs of complex numbers", torch.hypot, [6], [6], kind="forward")
case("chosen by argMax", lambda x: x * (F.one_hot(x.argmax(1), 4) + F.one_hot(x.argmin(1), 4)), P34)


def basic_lstm(x, w, b, h, c):
    i, j, f, o = (torch.cat([x, h], 1) @ w + b).chunk(4, 1)
    c = c * torch.sigmoid(1 + f) + torch.sigmoid(i) * j.tanh()
    return [c, c.tanh() * torch.sigmoid(o)]


case("basicLSTMCell", lambda x, w, b, h: basic_lstm(x, w, b, h, h * 0.5), [2, 3], [7, 16], [16], [2, 4])
case("multiRNNCell", lambda x, w, h: basic_lstm(x, w, 0, h, torch.zeros(2, 4)), [2, 3], [7, 16], [2, 4])

# --- layers ---------------------------------------------------------------------------------------------------------

hard_sigmoid = lambda x: (0.2 * x + 0.5).clamp(0, 1)
ACTIVATIONS = {
    "elu": F.elu, "gelu": F.gelu, "gelu_new": lambda x: F.gelu(x, approximate="tanh"), "hardSigmoid": hard_sigmoid,
    "linear": lambda x: x + 0, "logSoftmax": lambda x: x.log_softmax(-1), "mish": F.mish, "relu": F.relu, "relu6": F.relu6,
    "selu": F.selu, "sigmoid": torch.sigmoid, "softmax": lambda x: x.softmax(-1), "softplus": lambda x: F.softplus(x, threshold=99),
    "softsign": F.softsign, "swish": F.silu, "tanh": torch.tanh,
}
X35, X6, SEQ = [3, 5], [6, 3], [2, 4, 3]
linear = lambda x, w, b=None: F.linear(x, w.T, b)
layer("dense", linear, X35, weights=[[5, 4], [4]])
layer("dense without bias", linear, X35, weights=[[5, 4]])
for name in "relu sigmoid tanh softmax elu".split():
    layer(f"dense {name}", lambda x, w, b, f=ACTIVATIONS[name]: f(linear(x, w, b)), X35, weights=[[5, 4], [4]])
for name, fn in ACTIVATIONS.items():
    layer(f"activation {name}", fn, X35)
layer("elu", F.elu, X35)
layer("reLU", lambda x: x.clamp(0, 1.1), X35)
layer("leakyReLU", lambda x: F.leaky_relu(x, 0.2), X35)
layer("thresholdedReLU", lambda x: F.threshold(x, 0.7, 0), X35)
layer("prelu", lambda x, a: torch.where(x > 0, x, a * x), X35, weights=[[5]])
layer("prelu, axes shared", lambda x, a: last(F.prelu(first(x), a.flatten())), [2, 3, 2, 4], weights=[[1, 1, 4]])
layer("softmax", lambda x: x.softmax(-1), X35)
layer("embedding", lambda w: F.embedding(torch.tensor([[1, 4, 1], [0, 5, 4]]), w), weights=[[6, 3]])


def batch_norm(x, gamma, beta, mean, variance, axis=-1, eps=1e-3, training=False):
    x = x.movedim(axis, 1)
    if training:
        mean = variance = None
    return F.batch_norm(x, mean, variance, gamma, beta, training, eps=eps).movedim(1, axis)


def norm_layer(name, shape, size, **options):
    layer(f"batchNormalization{name}", lambda *xs: batch_norm(*xs, **options), shape, weights=[[size], [size]], state=[[size], Variance([size])])


norm_layer("", X6, 3)
norm_layer(", axis 1", [4, 3, 2], 3, axis=1)
norm_layer(" in training", X6, 3, training=True)
norm_layer(" in training, images", [2, 3, 3, 2], 2, training=True)
norm_layer(" in training, axis 1", [4, 3, 2], 3, axis=1, training=True)
norm_layer(" in training, of other epsilon", X6, 3, eps=0.1, training=True)
layer("batchNormalization in training, not scaled", lambda x, b, *_: batch_norm(x, None, b, None, None, training=True),
      X6, weights=[[3]], state=[[3], Variance([3])])
layer("batchNormalization in training, axis 1, not centred", lambda x, g, *_: batch_norm(x, g, None, None, None, 1, training=True),
      [4, 3, 2], weights=[[3]], state=[[3], Variance([3])])
layer("batchNormalization without weights", lambda x, m, v: batch_norm(x, None, None, m, v), X6, state=[[3], Variance([3])])
layer("layerNormalization", lambda x, g, b: F.layer_norm(x, [6], g, b, 1e-3), [4, 6], weights=[[6], [6]])
layer("layerNormalization, two axes", lambda x, g, b: F.layer_norm(x, [3, 4], g, b, 1e-3), [2, 3, 4], weights=[[3, 4], [3, 4]])
layer("add", lambda a, b, c: a + b + c, *[[2, 3]] * 3)
layer("multiply", lambda a, b, c: a * b * c, *[[2, 3]] * 3)
layer("average", lambda a, b: (a + b) / 2, *[[2, 3]] * 2)
layer("maximum", torch.maximum, *[[2, 3]] * 2)
layer("minimum", torch.minimum, *[[2, 3]] * 2)
layer("concatenate", lambda a, b: torch.cat([a, b], 1), [2, 3], [2, 4])
layer("concatenate, axis 1", lambda a, b: torch.cat([a, b], 1), [2, 2, 3], [2, 1, 3])
layer("dot", lambda a, b: (a * b).sum(1, keepdim=True), P34, P34)
layer("dot, normalized", lambda a, b: F.cosine_similarity(a, b)[:, None], P34, P34)
layer("dot of matrices", torch.bmm, [2, 3, 4], [2, 4, 2])
layer("flatten", lambda x: x.flatten(1), [2, 3, 4])
layer("reshape", lambda x: x.reshape(2, 2, 6), [2, 3, 4])
layer("permute", lambda x: x.permute(0, 2, 1), [2, 3, 4])
layer("repeatVector", lambda x: x[:, None].expand(2, 3, 4), [2, 4])
layer("rescaling", lambda x: x * 0.5 + 1, [2, 3])

SIGNAL, IMAGE, VOLUME = [2, 7, 3], [2, 5, 6, 2], [1, 4, 4, 5, 2]


def conv_layer(name, shape, kernel, fn=lambda y: y, **options):
    layer(name, lambda x, k, b: fn(conv(x, k, **options) + b), shape, weights=[kernel, kernel[-1:]])


conv_layer("conv1d", SIGNAL, [3, 3, 2])
conv_layer("conv1d same, stride 2", SIGNAL, [3, 3, 2], strides=2, pad="same")
conv_layer("conv1d dilated", SIGNAL, [2, 3, 2], pad="same", dilations=2)
conv_layer("conv2d", IMAGE, [3, 2, 2, 3])
conv_layer("conv2d same, strides", IMAGE, [3, 3, 2, 3], strides=[2, 1], pad="same")
for name in "relu sigmoid elu tanh".split():
    conv_layer(f"conv2d {name}", IMAGE, [3, 3, 2, 3], ACTIVATIONS[name], pad="same")
conv_layer("conv2d dilated, relu", IMAGE, [2, 2, 2, 2], F.relu, dilations=2)
conv_layer("conv2d dilated", IMAGE, [2, 2, 2, 2], pad="same", dilations=[2, 1])
layer("conv2d dilated, channels first, tanh", lambda x, k, b: first(torch.tanh(conv(last(x), k, 1, "valid", 2) + b)), [2, 2, 5, 6], weights=[[2, 2, 2, 2], [2]])
layer("conv2d, channels first", lambda x, k: first(conv(last(x), k)), [2, 2, 5, 6], weights=[[2, 2, 2, 2]])
conv_layer("conv3d", VOLUME, [2, 2, 3, 2, 2])
conv_layer("conv3d same, dilated", VOLUME, [2, 2, 2, 2, 2], pad="same", dilations=2)
layer("conv2dTranspose", lambda x, k, b: conv_transpose(x, k, 2) + b, [2, 3, 4, 2], weights=[[3, 3, 2, 2], [2]])
layer("conv2dTranspose same", lambda x, k, b: conv_transpose(x, k, 2, "same") + b, [2, 3, 4, 2], weights=[[3, 3, 2, 2], [2]])
layer("conv3dTranspose", lambda x, k, b: conv_transpose(x, k, 2) + b, [1, 2, 3, 2, 2], weights=[[3, 3, 3, 2, 2], [2]])
layer("depthwiseConv2d", lambda x, k, b: depthwise(x, k, 1, "same") + b, IMAGE, weights=[[3, 3, 2, 2], [4]])
layer("depthwiseConv2d strides", lambda x, k, b: depthwise(x, k, 2) + b, IMAGE, weights=[[2, 2, 2, 1], [2]])
layer("separableConv2d", lambda x, d, p, b: separable(x, d, p) + b, IMAGE, weights=[[2, 2, 2, 2], [1, 1, 4, 3], [3]])
layer("separableConv2d relu", lambda x, d, p, b: F.relu(separable(x, d, p, 1, "same") + b), IMAGE, weights=[[3, 3, 2, 1], [1, 1, 2, 3], [3]])
layer("maxPooling1d", lambda x: max_pool(x, 2, 2), SIGNAL)
layer("averagePooling1d", lambda x: avg_pool(x, 3, 1), SIGNAL)
layer("maxPooling2d", lambda x: max_pool(x, 3, 2, "same"), IMAGE)
layer("averagePooling2d", lambda x: avg_pool(x, 2, 2), IMAGE)
layer("averagePooling2d same", lambda x: avg_pool(x, 3, 2, "same"), IMAGE)
layer("maxPooling3d", lambda x: max_pool(x, 2, 2), VOLUME)
layer("averagePooling3d", lambda x: avg_pool(x, 2, 2), VOLUME)
layer("globalAveragePooling1d", lambda x: x.mean(1), SIGNAL)
layer("globalMaxPooling1d", lambda x: x.amax(1), SIGNAL)
layer("globalAveragePooling2d", lambda x: x.mean((1, 2)), IMAGE)
layer("globalMaxPooling2d", lambda x: x.amax((1, 2)), IMAGE)
layer("zeroPadding2d", lambda x: F.pad(x, (0, 0, 0, 1, 1, 2)), IMAGE)
layer("cropping2D", lambda x: x[:, 1:, 1:-2], IMAGE)
layer("upSampling2d", lambda x: resized(x, [10, 18], "nearest"), IMAGE)
layer("resizing", lambda x: resized(x, [7, 4], "bilinear", True), IMAGE)


# A cell takes x, the states and its weights, and returns the states, the result first. Gates stand in the order i, f, c, o
# in Keras and in PyTorch; the reset gate of Keras works on the state before the product, that of PyTorch after it.
def simple_cell(x, h, w, u, b, activation=torch.tanh):
    return [activation(x @ w + b + h[0] @ u)]


def lstm_cell(x, state, w, u, b, gate=torch.sigmoid):
    i, f, g, o = (x @ w + b + state[0] @ u).chunk(4, -1)
    c = gate(f) * state[1] + gate(i) * g.tanh()
    return [gate(o) * c.tanh(), c]


def gru_cell(x, state, w, u, b, gate=torch.sigmoid):
    h = state[0]
    units = h.shape[-1]
    xz, xr, xh = (x @ w + b).chunk(3, -1)
    z, r = (gate(a) for a in (torch.cat([xz, xr], -1) + h @ u[:, : 2 * units]).chunk(2, -1))
    return [z * h + (1 - z) * (xh + (r * h) @ u[:, 2 * units :]).tanh()]


def steps(cell, x, state, backwards=False):
    """All states after each step."""
    states = []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        state = cell(x[:, t], state)
        states.append(state)
    return states


def zeros(count, *shape):
    return [torch.zeros(*shape) for _ in range(count)]


def sequence(states):
    return torch.stack([state[0] for state in states], 1)


def torch_rnn(run, x, h, *weights):
    """torch.lstm, torch.rnn_tanh or torch.rnn_relu with the weights of Keras, whose only bias is added once."""
    w, u, b = weights
    return run(x, h, [w.T.contiguous(), u.T.contiguous(), b, torch.zeros_like(b)], True, 1, 0.0, False, False, True)


def lstm(x, *w, state=None):
    """Results of all steps, then the last states."""
    y, h, c = torch_rnn(torch.lstm, x, state or zeros(2, 1, x.shape[0], w[1].shape[0]), *w)
    return y, h[0], c[0]


def rnn(x, *w, run=torch.rnn_tanh):
    return torch_rnn(run, x, torch.zeros(1, x.shape[0], w[1].shape[0]), *w)[0]


of = lambda gates, units, inputs=3: [[inputs, gates * units], [units, gates * units], [gates * units]]
layer("simpleRNN", lambda x, *w: rnn(x, *w)[:, -1], SEQ, weights=of(1, 3))
layer("simpleRNN relu", lambda x, *w: rnn(x, *w, run=torch.rnn_relu)[:, -1], SEQ, weights=of(1, 3))
layer("simpleRNN of all steps, backwards", lambda x, *w: rnn(x.flip(1), *w), SEQ, weights=of(1, 3))
layer("simpleRNNCell", lambda x, *w: steps(lambda a, h: simple_cell(a, h, *w), x, zeros(1, 2, 2))[-1][0], SEQ, weights=of(1, 2))
layer("masking", lambda x, *w: rnn(x, *w), [2, 4, 2], weights=of(1, 3, 2))
layer("lstm", lambda x, *w: lstm(x, *w)[0][:, -1], SEQ, weights=of(4, 3))
layer("lstm of all steps", lambda x, *w: lstm(x, *w)[0], SEQ, weights=of(4, 3))
layer("lstm with states", lambda x, *w: [lstm(x, *w)[0][:, -1], *lstm(x, *w)[1:]], SEQ, weights=of(4, 2))
layer("lstm from given states", lambda x, h, c, *w: lstm(x, *w, state=[h[None], c[None]])[0][:, -1], SEQ, [2, 2], [2, 2], weights=of(4, 2))
hard_lstm = lambda x, units, *w: steps(lambda a, s: lstm_cell(a, s, *w, hard_sigmoid), x, zeros(2, 2, units))[-1][0]
layer("lstm hardSigmoid", lambda x, *w: hard_lstm(x, 3, *w), SEQ, weights=of(4, 3))
layer("lstmCell", lambda x, *w: hard_lstm(x, 2, *w), SEQ, weights=of(4, 2))
gru = lambda x, units, gate, *w: steps(lambda a, s: gru_cell(a, s, *w, gate), x, zeros(1, 2, units))
layer("gru", lambda x, *w: gru(x, 3, torch.sigmoid, *w)[-1][0], SEQ, weights=of(3, 3))
layer("gru of all steps", lambda x, *w: sequence(gru(x, 3, torch.sigmoid, *w)), SEQ, weights=of(3, 3))
layer("gru hardSigmoid", lambda x, *w: gru(x, 3, hard_sigmoid, *w)[-1][0], SEQ, weights=of(3, 3))
layer("gruCell", lambda x, *w: gru(x, 2, hard_sigmoid, *w)[-1][0], SEQ, weights=of(3, 2))
layer("stackedRNNCells", lambda x, *w: lstm(rnn(x, *w[:3]), *w[3:])[0][:, -1], SEQ, weights=of(1, 3) + of(4, 2))
layer("rnn of two cells", lambda x, *w: rnn(sequence(gru(x, 3, hard_sigmoid, *w[:3])), *w[3:]), SEQ, weights=of(3, 3) + of(1, 2, 3))
layer("timeDistributed", lambda x, w, b: torch.tanh(linear(x, w, b)), SEQ, weights=[[3, 2], [2]])


def both(merge):
    return lambda x, *w: merge(lstm(x, *w[:3])[0], lstm(x.flip(1), *w[3:])[0].flip(1))


MERGES = {
    "sum": lambda a, b: a + b, "mul": lambda a, b: a * b, "concat": lambda a, b: torch.cat([a, b], -1),
    "ave": lambda a, b: (a + b) / 2, "null": lambda a, b: [a, b],
}
for name, merge in MERGES.items():
    layer(f"bidirectional {name}", both(merge), SEQ, weights=of(4, 2) + of(4, 2))


def conv_lstm_cell(x, state, w, u, b, pad):
    gates = conv(x, w, 1, pad) + b + conv(state[0], u, 1, "same")
    i, f, g, o = gates.chunk(4, -1)
    c = hard_sigmoid(f) * state[1] + hard_sigmoid(i) * g.tanh()
    return [hard_sigmoid(o) * c.tanh(), c]


film = lambda x, w, size, pad: steps(lambda a, s: conv_lstm_cell(a, s, *w, pad), x, zeros(2, 1, size, size, 2))
FILM = [1, 3, 4, 4, 2]
layer("convLstm2d", lambda x, *w: film(x, w, 3, "valid")[-1][0], FILM, weights=[[2, 2, 2, 8], [2, 2, 2, 8], [8]])
layer("convLstm2d of all steps, same", lambda x, *w: sequence(film(x, w, 4, "same")), FILM, weights=[[3, 3, 2, 8], [3, 3, 2, 8], [8]])
layer("convLstm2dCell", lambda x, h, c, *w: (lambda s: [s[0], s[0], s[1]])(conv_lstm_cell(x, [h, c], *w, "same")),
      *[[1, 4, 4, 2]] * 3, weights=[[2, 2, 2, 8], [2, 2, 2, 8], [8]])

# --- the file -------------------------------------------------------------------------------------------------------

HEADER = '''/**
 * Made by test/parity/gradients.py with PyTorch {version}: do not edit. By name of the case, results and gradients, each the
 * base64 of its float32 elements, little-endian; computed in float64.
 */
'''
SAMPLES = [("smooth", 7, 0), ("smooth", 60, 3), ("ties", 9, 0), ("whole", 11, 0)]
target_file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tensor/conformance/gen/goldens.ts")
quoted = lambda values: "[" + ", ".join(f"'{value}'" for value in values) + "]"
with open(target_file, "w") as file:
    file.write(HEADER.format(version=torch.__version__))
    file.write("export const PACKED: Readonly<Record<string, readonly [string[], string[]]>> = {\n")
    for name, one in CASES.items():
        values, gradients = run(*one)
        file.write(f"  '{name}': [{quoted(values)}, {quoted(gradients)}],\n")
    file.write("};\n\n/** Inputs as PyTorch was given them: kind, number and position, then the elements. */\n")
    file.write("export const SAMPLES: readonly (readonly [string, number, number, string])[] = [\n")
    for kind, size, position in SAMPLES:
        file.write(f"  ['{kind}', {size}, {position}, '{packed(torch.tensor(elements(kind, size, position)))}'],\n")
    file.write("];\n")
print(len(CASES), "cases,", os.path.getsize(target_file), "bytes")
