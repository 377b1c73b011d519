"""The peer of autograd.roundtrip: a context, an addition on the other worker, the backward pass, the two gradients."""
import time

import torch
import torch.distributed.autograd as dist_autograd
import torch.distributed.rpc as rpc

from common import SERVER, read_flags, run

a = torch.ones(3, 3, requires_grad=True)
b = torch.ones(3, 3, requires_grad=True)


def passes(count):
    """Milliseconds of each of `count` passes."""
    return {"ms": [timed_pass() for _ in range(count)]}


def timed_pass():
    start = time.perf_counter()
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(SERVER, torch.add, args=(a, b)).sum()
        dist_autograd.backward(context_id, [loss])
        found = len(dist_autograd.get_gradients(context_id))
    if found != 2:
        raise RuntimeError(f"{found} of 2 gradients")
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    run(read_flags(), {"passes": passes})
