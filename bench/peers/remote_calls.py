"""The peer of rpc.*: empty calls and tensors as arguments, to rank 0."""
import collections
import threading
import time

import torch
import torch.distributed.rpc as rpc

from common import SERVER, read_flags, run

MIB = 1024 * 1024


def nothing():
    pass


def take(tensor):
    pass


def sequential(count):
    """Calls per second, one after another."""
    start = time.perf_counter()
    for _ in range(count):
        rpc.rpc_sync(SERVER, nothing)
    return {"value": count / (time.perf_counter() - start)}


def outstanding(count, width):
    """Calls per second while `width` wait for their answers."""
    waiting = collections.deque()
    start = time.perf_counter()
    for _ in range(count):
        if len(waiting) == width:
            waiting.popleft().wait()
        waiting.append(rpc.rpc_async(SERVER, nothing))
    for call in waiting:
        call.wait()
    return {"value": count / (time.perf_counter() - start)}


def bandwidth(mib, count):
    """Gigabytes (10^9) per second of `count` float32 tensors of `mib` MiB, one call after another."""
    tensor = torch.ones(mib * MIB // 4)
    start = time.perf_counter()
    for _ in range(count):
        rpc.rpc_sync(SERVER, take, args=(tensor,))
    return {"value": count * mib * MIB / 1e9 / (time.perf_counter() - start)}


def latencies(mib, ms):
    """Milliseconds of empty calls, one after another, while tensors of `mib` MiB flow for `ms`."""
    tensor = torch.ones(mib * MIB // 4)
    end = time.perf_counter() + ms / 1000

    def flow():
        while time.perf_counter() < end:
            rpc.rpc_sync(SERVER, take, args=(tensor,))

    flowing = threading.Thread(target=flow)
    flowing.start()
    found = []
    while time.perf_counter() < end:
        start = time.perf_counter()
        rpc.rpc_sync(SERVER, nothing)
        found.append(1000 * (time.perf_counter() - start))
    flowing.join()
    return {"ms": found}


if __name__ == "__main__":
    commands = (sequential, outstanding, bandwidth, latencies)
    run(read_flags(), {command.__name__: command for command in commands})
