"""What the peer's scripts share: one process of a group over TensorPipe, which answers lines of JSON.

Every process of a group runs the same script. Rank 0 serves; every other rank reads requests from stdin, such as
{"do": "steps", "count": 15}, calls the function of that name with the other members as arguments, and prints its result,
or {"error": TEXT}, as one line. The first line of every process says that it has joined.
"""
import argparse
import ctypes
import json
import os
import signal
import sys

import torch
import torch.distributed.rpc as rpc

SERVER = "server"
PR_SET_PDEATHSIG = 1


def read_flags(*names):
    """The flags of every script, and those of `names`, which are text."""
    parser = argparse.ArgumentParser()
    for name in ("rank", "world-size", "port", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in names:
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def run(flags, commands):
    """Joins the group, and serves on rank 0 or answers requests on the others until stdin ends."""
    # Dies with the process that started it, also while it is stopped.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    torch.set_num_threads(flags.threads)
    torch.manual_seed(flags.rank)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(flags.port))
    name = f"worker{flags.rank}" if flags.rank else SERVER
    rpc.init_rpc(name, rank=flags.rank, world_size=flags.world_size)
    say({"threads": torch.get_num_threads()})
    if flags.rank:
        for line in sys.stdin:
            say(answer(commands, json.loads(line)))
    rpc.shutdown()


def answer(commands, request):
    try:
        return commands[request.pop("do")](**request)
    except Exception as error:
        return {"error": str(error)}


def say(value):
    print(json.dumps(value), flush=True)
