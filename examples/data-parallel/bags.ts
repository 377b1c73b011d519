/** What is learnt: bags of items, most of which belong to the class that the bag has. Each trainer has bags of its own. */
import { Random } from '../support/random.ts';

export const NUM_EMBEDDINGS = 100;
export const NUM_CLASSES = 8;

/** Items of several bags, one after another. */
export interface Bags {
  readonly items: Int32Array;
  /** The bag of each item. */
  readonly bags: Int32Array;
  /** The class of each bag. */
  readonly target: Int32Array;
}

/** The bags of one step: they depend on the seed, the trainer and the step alone. */
export function bagsOf(seed: number, trainer: number, step: number, count: number): Bags {
  const classes = new Random(seed, 'classes').shuffle(
    Int32Array.from({ length: NUM_EMBEDDINGS }, (_, item) => item % NUM_CLASSES),
  );
  const random = new Random(seed, 'bags', trainer, step);
  const [items, bags]: [number[], number[]] = [[], []];
  const target = Int32Array.from({ length: count }, (_, bag) => {
    const own = random.int(NUM_CLASSES);
    for (let n = 4 + random.int(5); n > 0; n--) {
      // Two of three items are of the class of the bag, and the third is any.
      const isOwn = random.int(3) > 0;
      let item = random.int(NUM_EMBEDDINGS);
      while (isOwn && classes[item] !== own) item = random.int(NUM_EMBEDDINGS);
      items.push(item);
      bags.push(bag);
    }
    return own;
  });
  return { items: Int32Array.from(items), bags: Int32Array.from(bags), target };
}
