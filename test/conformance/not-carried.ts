/** Behaviours that PyTorch RPC checks of itself and that do not carry over, by the names of its tests. */
export interface NotCarried {
  readonly name: string;
  readonly reason: string;
}

export const NOT_CARRIED: readonly NotCarried[] = [
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
];
