"""The script that runs a checkpoint in MXNet itself, in MXNet's own virtual environment and process.

    python -I oracle_process.py GRAPH PARAMETERS REQUEST ANSWER ROUNDS

REQUEST holds the inputs by name; ANSWER gets the outputs as 0, 1, ... with their `names`, and the
`milliseconds` of each of so many rounds. Nothing of Onlooker can be imported here.
"""

import sys
import time

import mxnet as mx
import numpy as np

__all__ = ["main"]


def main() -> None:
    """Do what the command line says."""
    graph, parameters, request, answer, rounds = sys.argv[1:]
    with np.load(request, allow_pickle=False) as given:
        inputs = {name: given[name] for name in given.files}
    symbol = mx.sym.load(graph)
    shapes = {name: array.shape for name, array in inputs.items()}
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", **shapes)
    saved = mx.nd.load(parameters)
    arguments, moving = (
        {name[4:]: array for name, array in saved.items() if name.startswith(kind)}
        for kind in ("arg:", "aux:")
    )
    executor.copy_params_from(arguments, moving, allow_extra_params=True)
    for name, array in inputs.items():
        executor.arg_dict[name][:] = array
    outputs = [output.asnumpy() for output in executor.forward(is_train=False)]
    times = []
    for _ in range(int(rounds)):
        started = time.perf_counter()
        for output in executor.forward(is_train=False):
            output.wait_to_read()
        times.append((time.perf_counter() - started) * 1000)
    columns = {str(index): output for index, output in enumerate(outputs)}
    np.savez(answer, names=np.array(symbol.list_outputs()), milliseconds=np.array(times), **columns)


if __name__ == "__main__":
    main()
