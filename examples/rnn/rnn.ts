/**
 * The model of PyTorch's example "Distributed RNN using Distributed Autograd and Distributed Optimizer": embedding table and
 * decoder live on the parameter server, the LSTM between them on the trainer.
 */
import { rpc, tf } from 'gradwire';
import { Dropout, Linear } from '../support/layers.ts';
import { Random } from '../support/random.ts';

/** The state of the LSTM after a piece: `[batch, nhid]` for each of its layers. */
export interface Hidden {
  readonly h: tf.Tensor2D[];
  readonly c: tf.Tensor2D[];
}

/** Encoding layer of the RNNModel. */
export class EmbeddingTable {
  readonly #encoder: tf.Variable<tf.Rank.R2>;
  readonly #drop: Dropout;

  constructor(ntoken: number, ninp: number, dropout: number, seed: number) {
    const random = new Random(seed, 'embedding');
    const values = Float32Array.from({ length: ntoken * ninp }, () => random.uniform(-0.1, 0.1));
    this.#encoder = tf.tidy(() => tf.variable(tf.tensor2d(values, [ntoken, ninp])));
    this.#drop = new Dropout(dropout, random.derive('drop'));
  }

  /** Tokens `[n]` to `[n, ninp]`. */
  forward(input: tf.Tensor1D): tf.Tensor2D {
    return this.#drop.forward(tf.gather(this.#encoder, input));
  }

  parameterRRefs(): rpc.RRef<tf.Variable>[] {
    return [new rpc.RRef<tf.Variable>(this.#encoder)];
  }
}

/** Decoding layer of the RNNModel. */
export class Decoder {
  readonly #decoder: Linear;
  readonly #drop: Dropout;

  constructor(ntoken: number, nhid: number, dropout: number, seed: number) {
    const random = new Random(seed, 'decoder');
    this.#decoder = new Linear(nhid, ntoken, random);
    this.#drop = new Dropout(dropout, random.derive('drop'));
  }

  /** `[n, nhid]` to scores `[n, ntoken]`. */
  forward(output: tf.Tensor2D): tf.Tensor2D {
    return this.#decoder.forward(this.#drop.forward(output));
  }

  parameterRRefs(): rpc.RRef<tf.Variable>[] {
    return parameterRRefs(this.#decoder);
  }
}

rpc.register({ EmbeddingTable, Decoder });

/** One layer of an LSTM (PyTorch: `nn.LSTM` of one layer). */
class Lstm {
  readonly weight: tf.Variable<tf.Rank.R2>;
  readonly bias: tf.Variable<tf.Rank.R1>;
  readonly #gates: Linear;

  constructor(ninp: number, nhid: number, random: Random) {
    this.#gates = new Linear(ninp + nhid, 4 * nhid, random);
    this.weight = this.#gates.weight;
    this.bias = this.#gates.bias;
  }

  /** One step: input `[batch, ninp]`, state `[batch, nhid]`. */
  step(x: tf.Tensor2D, h: tf.Tensor2D, c: tf.Tensor2D): [tf.Tensor2D, tf.Tensor2D] {
    return tf.basicLSTMCell(1, this.weight, this.bias, x, c, h).reverse() as [
      tf.Tensor2D,
      tf.Tensor2D,
    ];
  }
}

export interface RNNSizes {
  readonly ntoken: number;
  readonly ninp: number;
  readonly nhid: number;
  readonly nlayers: number;
  readonly dropout: number;
  readonly seed: number;
}

/** A distributed RNN model which puts embedding table and decoder parameters on a remote parameter server. */
export class RNNModel {
  readonly #embTableRRef: rpc.RRef<EmbeddingTable>;
  readonly #decoderRRef: rpc.RRef<Decoder>;
  readonly #rnn: readonly Lstm[];

  constructor(ps: string, { ntoken, ninp, nhid, nlayers, dropout, seed }: RNNSizes) {
    // Setup embedding table remotely.
    this.#embTableRRef = rpc.remote(ps, EmbeddingTable, [ntoken, ninp, dropout, seed]);
    // Setup LSTM locally.
    this.#rnn = Array.from({ length: nlayers }, (_, i) => {
      return new Lstm(i === 0 ? ninp : nhid, nhid, new Random(seed, 'rnn', i));
    });
    // Setup decoder remotely.
    this.#decoderRRef = rpc.remote(ps, Decoder, [ntoken, nhid, dropout, seed]);
  }

  /** Tokens `[batch, steps]` to scores `[steps * batch, ntoken]`, step by step, and the state at the end. */
  async forward(
    input: tf.Tensor2D,
    hidden: Hidden,
  ): Promise<{ output: tf.Tensor2D; hidden: Hidden }> {
    const [batch, steps] = input.shape;
    // Pass input to the remote embedding table and fetch emb tensor back.
    const tokens = tf.reshape<tf.Rank.R1>(tf.transpose(input), [steps * batch]);
    const emb = await this.#embTableRRef.rpcSync().forward(tokens);
    let [h, c] = [hidden.h, hidden.c];
    const outputs: tf.Tensor2D[] = [];
    for (let x of tf.split<tf.Tensor2D>(emb, steps)) {
      const state = { h: [] as tf.Tensor2D[], c: [] as tf.Tensor2D[] };
      this.#rnn.forEach((layer, i) => {
        const [nextH, nextC] = layer.step(x, h[i] as tf.Tensor2D, c[i] as tf.Tensor2D);
        state.h.push(nextH);
        state.c.push(nextC);
        x = nextH;
      });
      ({ h, c } = state);
      outputs.push(x);
    }
    // Pass output to the remote decoder and get the decoded output back.
    const output = await this.#decoderRRef.rpcSync().forward(tf.concat(outputs));
    return { output, hidden: { h, c } };
  }

  async parameterRRefs(): Promise<rpc.RRef<tf.Variable>[]> {
    return [
      // Get RRefs of embedding table.
      ...(await this.#embTableRRef.rpcSync().parameterRRefs()),
      // Create RRefs for local parameters.
      ...this.#rnn.flatMap(parameterRRefs),
      // Get RRefs of decoder.
      ...(await this.#decoderRRef.rpcSync().parameterRRefs()),
    ];
  }
}

/** Return a list of parameter RRefs. */
function parameterRRefs({ weight, bias }: Pick<Lstm, 'weight' | 'bias'>): rpc.RRef<tf.Variable>[] {
  return [new rpc.RRef<tf.Variable>(weight), new rpc.RRef<tf.Variable>(bias)];
}
