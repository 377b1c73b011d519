"""Prints what this interpreter would measure with: a line of JSON with the versions. Fails where a package is missing."""
import json
import os
import platform

import numpy
import torch
import torch.distributed.autograd
import torch.distributed.optim
import torch.distributed.rpc


def blas():
    """The libraries of linear algebra that this process has loaded, by the names of their files."""
    try:
        with open("/proc/self/maps") as maps:
            files = {line.split()[-1] for line in maps if "blas" in line}
    except OSError:
        return []
    return sorted({os.path.basename(os.path.realpath(file)) for file in files})


# Builds without TensorPipe import well and lack this.
torch.distributed.rpc.TensorPipeRpcBackendOptions
print(json.dumps({
    "pytorch": torch.__version__,
    "python": platform.python_version(),
    "numpy": numpy.__version__,
    "blas": blas(),
}))
