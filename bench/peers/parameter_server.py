"""The peer of tutorial.*: the parameter-server job of PyTorch's tutorial, a ConvNet on rank 0 that all others train.

A request {"do": "steps", "count": N} runs N steps; the answer has the milliseconds of them all and the loss of each.
"""
import gzip
import pathlib
import time

import numpy as np
import torch
import torch.distributed.autograd as dist_autograd
import torch.distributed.rpc as rpc
from torch import nn, optim
from torch.distributed.optim import DistributedOptimizer

from common import SERVER, read_flags, run

BATCH_SIZE = 32
LEARNING_RATE = 0.03
MEAN, STD = 0.1307, 0.3081

# On rank 0 only.
model = None


def make_model():
    convolutions = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.MaxPool2d(2), nn.Dropout2d(0.25)]
    dense = [nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10), nn.LogSoftmax(1)]
    return nn.Sequential(*convolutions, *dense)


# What the trainers call on rank 0.

def forward(images):
    return model(images)


def parameters():
    return [rpc.RRef(parameter) for parameter in model.parameters()]


def count_gradients(context_id):
    return len(dist_autograd.get_gradients(context_id))


class Trainer:
    def __init__(self, flags):
        self.flags = flags
        self.optimizer = None

    def steps(self, count):
        if self.optimizer is None:
            self.batches = endless_batches(self.flags.data, self.flags.rank)
            self.optimizer = DistributedOptimizer(optim.SGD, rpc.rpc_sync(SERVER, parameters), lr=LEARNING_RATE)
        start = time.perf_counter()
        losses = [self.step(*next(self.batches)) for _ in range(count)]
        return {"ms": 1000 * (time.perf_counter() - start), "losses": losses}

    def step(self, images, labels):
        with dist_autograd.context() as context_id:
            log_probabilities = rpc.rpc_sync(SERVER, forward, args=(images,))
            loss = nn.functional.nll_loss(log_probabilities, labels)
            dist_autograd.backward(context_id, [loss])
            found = rpc.rpc_sync(SERVER, count_gradients, args=(context_id,))
            if found != 8:
                raise RuntimeError(f"{found} of 8 parameters have a gradient")
            self.optimizer.step(context_id)
        return loss.item()


def endless_batches(folder, seed):
    """Shuffled anew for each epoch; normalised when a batch is made, as ours are."""
    images = read_idx(folder, "train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    labels = read_idx(folder, "train-labels-idx1-ubyte", 8).astype(np.int64)
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(len(images))
        for at in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            chosen = order[at:at + BATCH_SIZE]
            pixels = (images[chosen].astype(np.float32) / 255 - MEAN) / STD
            yield torch.from_numpy(pixels), torch.from_numpy(labels[chosen])


def read_idx(folder, name, header_bytes):
    """The bytes of an IDX file, gzipped or plain, under either of the names that mirrors use."""
    for stem in (name, name.replace("-idx", ".idx")):
        for path, opener in ((f"{stem}.gz", gzip.open), (stem, open)):
            path = pathlib.Path(folder, path)
            if path.exists():
                with opener(path, "rb") as file:
                    return np.frombuffer(file.read(), np.uint8, offset=header_bytes)
    raise FileNotFoundError(f"{folder} has no {name}")


if __name__ == "__main__":
    flags = read_flags("data")
    if flags.rank == 0:
        torch.manual_seed(1)
        model = make_model()
    run(flags, {"steps": Trainer(flags).steps})
