/** Behaviours that the peer tests of itself and that cannot carry over, by the name of its test. */
export interface NotCarried {
  readonly name: string;
  readonly reason: string;
}

export const NOT_CARRIED: readonly NotCarried[] = [
  {
    name: 'test_disable_gil_profiling',
    reason: 'there is no interpreter lock',
  },
  {
    name: 'test_use_rpc_pickler',
    reason:
      'values are a closed set; own classes enter by rpc.registerValue, no serialiser can be swapped',
  },
  {
    name: 'test_cannot_infer_backend_from_options',
    reason:
      'the carrier is named by the option transport, not inferred from the class of the options',
  },
  {
    name: 'test_infer_backend_from_options',
    reason:
      'the carrier is named by the option transport, not inferred from the class of the options',
  },
  {
    name: 'test_set_and_get_num_worker_threads',
    reason: 'there is no pool: handlers share one event loop',
  },
  {
    name: 'test_no_grad_copy',
    reason:
      'a gradient has one owner, the context; engines share memory by counting, so no buffer is stolen or copied',
  },
  {
    name: 'test_no_grad_copy_sparse',
    reason: 'the same, for the rows of sparse gradients',
  },
  {
    name: 'test_grad_copy_sparse_indices_extra_ref',
    reason: 'the same: how many handles share the memory of a tensor makes no difference',
  },
  {
    name: 'test_dist_autograd_profiling',
    reason: 'later: there is no profiler',
  },
  {
    name: 'test_backward_different_dtypes_sparse',
    reason: 'float32 is the only dtype with gradients: tfjs has no float64',
  },
];
