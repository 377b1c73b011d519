export { AsyncSlot, outside } from './async-slot.ts';
export * as tf from './tf.ts';
