/**
 * The seam between gradwire and the engine of tfjs-core: which scope a new tensor belongs to and what is recorded
 * follow the asynchronous flow instead of being global. The only file that touches engine internals; it knows neither
 * ownership (scope.ts) nor gradients. Everything synchronous of tfjs (tidy, tf.grads, op scopes) stays as it is.
 */
import { GradwireError } from '../errors.ts';
import { AsyncSlot } from './async-slot.ts';
import { madeBy } from './makers.ts';
import * as tf from './tf.ts';

/** What tfjs records for one operation; `saved` are kept tensors that whoever takes the node must dispose. */
export interface TapeNode {
  readonly kernelName: string;
  /** Tensors by input name; optional inputs of fused kernels may be missing. */
  readonly inputs: Readonly<Record<string, tf.Tensor | null | undefined>>;
  readonly outputs: tf.Tensor[];
  readonly saved: tf.Tensor[];
  /** Upstream gradients by output (null stands for zeros) to functions that make the gradient by input name. */
  readonly gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

/** Where tfjs puts the tensors made outside any tidy. It calls `push` alone, as long as nobody ends this scope. */
export interface ScopeState {
  readonly track: { push(tensor: tf.Tensor): unknown; readonly length: number };
  /** Must not be the name of a kernel: tfjs would use that kernel's gradient for custom operations made here. */
  readonly name: string;
  readonly id: number;
}

/** What becomes of the operations of a flow. Shared by all frames of one graph and mode. */
export interface Recorder {
  /** What tfjs takes for the number of open gradient functions: 0 records nothing, 2 and more is inside tf.grads. */
  depth: number;
  /** Receives each node by `push`; null discards. tf.grads reads it as an array. */
  tape: TapeNode[] | null;
  /** Whether an operation on `inputs` may need its saved tensors; a false spares their clones. */
  needsSave(inputs: TapeNode['inputs']): boolean;
  /** Throws when operations are refused here; called before each operation. */
  check(): void;
}

/** What tfjs sees in an asynchronous flow. Immutable: enter another one to change something. */
export interface Frame {
  /** Owner of tensors made outside any tidy; null leaves them untracked, as tfjs does. */
  readonly scope: ScopeState | null;
  /** Null leaves recording to tfjs: nothing outside tf.grads. */
  readonly recorder: Recorder | null;
}

/** The frame of the current flow; unset, tfjs behaves as ever. Enter frames by `enterFrame`. */
export const frameSlot: AsyncSlot<Frame> = new AsyncSlot<Frame>();

/** Hears of each variable that its flow makes. */
export const variableSlot: AsyncSlot<(variable: tf.Variable) => void> = new AsyncSlot();

interface StateInternals {
  gradientDepth: number;
  readonly kernelDepth: number;
  activeTape: TapeNode[] | null | undefined;
  activeScope: ScopeState | null | undefined;
  /** The tidies that are open. */
  readonly scopeStack: readonly { readonly id: number; readonly track: tf.Tensor[] }[];
}

interface EngineInternals {
  state: StateInternals;
  readonly backendInstance: unknown;
  makeVariable(...args: unknown[]): tf.Variable;
  runKernel(kernel: string, inputs: TapeNode['inputs'], attrs?: object): unknown;
  getTensorsForGradient(
    name: string,
    inputs: TapeNode['inputs'],
    outputs: tf.Tensor[],
  ): tf.Tensor[];
}

/** Array whose `push` drops the node: saves of a custom operation may come while recording is paused. */
class Sink extends Array<TapeNode> {
  override push(): number {
    return 0;
  }
}

const SINK: TapeNode[] = new Sink();
const REPLACED: readonly string[] = ['gradientDepth', 'activeTape', 'activeScope'];

let installed: StateInternals | undefined;
let wrapper: EngineInternals['getTensorsForGradient'] | undefined;
let isVerified = false;
let lastScopeId = -1;

/** A scope id that tfjs never gives: its own count up from 0. */
export function nextScopeId(): number {
  return --lastScopeId;
}

/** Whether a kernel is running: a node pushed now is the clone of a saved tensor, not an operation. */
export function isInsideKernel(): boolean {
  return installed !== undefined && installed.kernelDepth > 0;
}

/** The id of the scope that a tensor made now would get as its `scopeId`; undefined if it would be untracked. */
export function activeScopeId(): number | undefined {
  return engineInternals().state.activeScope?.id;
}

/**
 * Takes `tensor` from the open tidy that would free it. If that tidy returns it, the scope around gets it all the same,
 * and the tensor that scope's id.
 *
 * @returns whether an open tidy had it
 */
export function takeFromTidy(tensor: tf.Tensor): boolean {
  const { scopeStack } = engineInternals().state;
  const track = scopeStack.find(({ id }) => id === tensor.scopeId)?.track;
  const at = track?.lastIndexOf(tensor) ?? -1;
  if (at >= 0) track?.splice(at, 1);
  return at >= 0;
}

/** Runs `fn`, and all that it starts, in `frame`. */
export function enterFrame<R>(frame: Frame, fn: () => R): R {
  installEngineState();
  return frameSlot.run(frame, fn);
}

/**
 * Puts the accessors under the engine; idempotent, and cheap when nothing is to be done. Installs again after
 * `tf.engine().reset()`, which replaces the state. The first call with a started engine also records one operation to
 * see that the internals are the expected ones.
 *
 * @throws GradwireError `engine_unavailable` if they are not, naming the version of tfjs-core found
 */
export function installEngineState(): void {
  const engine = engineInternals();
  if (engine.state !== installed) install(engine);
  if (!isVerified && engine.backendInstance != null && engine.state.kernelDepth === 0) {
    verify(engine.state);
    isVerified = true;
  }
}

function engineInternals(): EngineInternals {
  return tf.engine() as unknown as EngineInternals;
}

function install(engine: EngineInternals): void {
  const old = engine.state;
  if (
    typeof old?.gradientDepth !== 'number' ||
    typeof old.kernelDepth !== 'number' ||
    !Array.isArray(old.scopeStack) ||
    typeof engine.runKernel !== 'function' ||
    typeof engine.getTensorsForGradient !== 'function'
  ) {
    throw unexpected('fields of the engine are missing');
  }
  installed = copyWithAccessors(old);
  engine.state = installed;
  if (engine.getTensorsForGradient !== wrapper) {
    wrapSaving(engine);
    refuseFreed(engine);
    tellVariables(engine);
  }
}

/**
 * The accessors stand on the prototype of a copy that takes the place of the state: redefining fields of the existing
 * object would turn it into a dictionary, and every counter of the engine with it.
 */
function copyWithAccessors(old: StateInternals): StateInternals {
  let depth = old.gradientDepth;
  let tape = old.activeTape;
  let scope = old.activeScope;
  const recorder = (): Recorder | null | undefined => frameSlot.get()?.recorder;
  const accessors: Pick<StateInternals, 'gradientDepth' | 'activeTape' | 'activeScope'> = {
    // Read before each operation, before any other counter moves: the place to refuse it.
    get gradientDepth() {
      const r = recorder();
      if (r == null) return depth;
      r.check();
      return r.depth;
    },
    set gradientDepth(value) {
      const r = recorder();
      if (r == null) depth = value;
      else r.depth = value;
    },
    get activeTape() {
      const r = recorder();
      return r == null ? tape : (r.tape ?? SINK);
    },
    set activeTape(value) {
      const r = recorder();
      if (r == null) tape = value;
      else r.tape = value ?? null;
    },
    // Synchronous scopes cannot span an await, so they stay global; outside them the frame decides.
    get activeScope() {
      return scope ?? frameSlot.get()?.scope ?? scope;
    },
    set activeScope(value) {
      scope = value;
    },
  };
  const prototype = Object.create(
    Object.getPrototypeOf(old),
    Object.getOwnPropertyDescriptors(accessors),
  );
  const state = Object.create(prototype) as Record<string, unknown>;
  for (const [key, value] of Object.entries(old)) if (!REPLACED.includes(key)) state[key] = value;
  return state as unknown as StateInternals;
}

/** Speed alone: without it tensors that no gradient needs are cloned first and freed by the tape. */
function wrapSaving(engine: EngineInternals): void {
  const original = engine.getTensorsForGradient;
  wrapper = function (this: EngineInternals, name, inputs, outputs) {
    const r = frameSlot.get()?.recorder;
    if (r != null && !r.needsSave(inputs)) return [];
    return original.call(this, name, inputs, outputs);
  };
  engine.getTensorsForGradient = wrapper;
}

/** Without it an operation on a freed tensor fails somewhere inside tfjs, with a message that names nothing. */
function refuseFreed(engine: EngineInternals): void {
  const original = engine.runKernel;
  engine.runKernel = function (this: EngineInternals, kernel, inputs, attrs) {
    for (const name in inputs) {
      const tensor = inputs[name];
      if (tensor?.isDisposed === true) {
        throw new GradwireError(
          'tensor_freed',
          `${kernel} was given a tensor of shape [${tensor.shape}] that has been freed${madeBy(tensor.scopeId)}: what a handler or a context makes ends ` +
            'with it, unless it is returned, stored in the called object, kept by tf.keep, or a tf.Variable',
        );
      }
    }
    return original.call(this, kernel, inputs, attrs);
  };
}

function tellVariables(engine: EngineInternals): void {
  const original = engine.makeVariable;
  engine.makeVariable = function (this: EngineInternals, ...args) {
    const variable = original.apply(this, args);
    variableSlot.get()?.(variable);
    return variable;
  };
}

/** Records the product of a variable with itself and looks at everything that gradwire relies on. */
function verify(state: StateInternals): void {
  const made: tf.Tensor[] = [];
  const nodes: { node: TapeNode; isClone: boolean }[] = [];
  class Probe extends Array<TapeNode> {
    override push(node: TapeNode): number {
      return nodes.push({ node, isClone: isInsideKernel() });
    }
  }
  const recorder: Recorder = { depth: 1, tape: new Probe(), needsSave: () => true, check() {} };
  const scope: ScopeState = { track: made, name: 'gradwire.check', id: nextScopeId() };
  let variable: tf.Variable | undefined;
  try {
    frameSlot.run({ scope, recorder }, () => {
      variable = tf.variable(tf.scalar(3), true, 'gradwire.check');
      const square = tf.mul(variable, variable);
      const nodesOfOps = nodes.filter((n) => !n.isClone).map((n) => n.node);
      const node = nodesOfOps[0];
      if (node === undefined || nodesOfOps.length !== 1)
        throw unexpected('one operation is not one node');
      const { a } = node.inputs;
      if (a !== variable || node.outputs[0] !== square) {
        throw unexpected('a node does not name its tensors');
      }
      if (typeof node.gradient !== 'function') throw unexpected('no gradients are registered');
      if (node.saved.length !== 2 || !node.saved.every((t) => t.kept)) {
        throw unexpected('inputs are not saved');
      }
      if (nodes.length !== 3) throw unexpected('saved tensors are not told from operations');
      if (state.scopeStack.length === 0 && !made.includes(square)) {
        throw unexpected('new tensors do not go to the active scope');
      }
    });
  } finally {
    variable?.dispose();
    for (const { node } of nodes) for (const t of [...node.saved, ...node.outputs]) t.dispose();
    for (const t of made) t.dispose();
  }
}

function unexpected(what: string): GradwireError {
  return new GradwireError(
    'engine_unavailable',
    `tfjs-core ${tf.version_core} is not what gradwire was built for (4.22.0): ${what}`,
  );
}
