/**
 * The embedded data of the examples: a seeded generator of digits as people write them, in MNIST's shapes. It stands in
 * where MNIST is not at hand, and output names it for what it is. Its difficulty is set so that a linear classifier
 * stays below 0.9 while a small ConvNet passes 0.95 in some hundred steps; a test holds the first half.
 */
import { type Dataset, IMAGE_BYTES, IMAGE_SIZE } from './dataset.ts';
import { GLYPHS, type Stroke } from './glyphs.ts';
import { Random } from './random.ts';

// Looked up once: these are called for each pixel, and in a realm of its own, such as a test's, globals are slow.
const { ceil, floor, max, min, round, sqrt } = Math;

export interface DigitsOptions {
  /** Number of images. */
  readonly count: number;
  /** Default 1. */
  readonly seed?: number;
  /** The two splits share no image: their streams of random numbers are different ones. Default `train`. */
  readonly split?: 'train' | 'test';
}

type Range = readonly [low: number, high: number];

/** Pixel statistics of many training images, on the scale 0 to 1; a test holds them. */
const DIGITS_MEAN = 0.093;
const DIGITS_STD = 0.2327;

/** How far one image may differ from the plain glyph; lengths in pixels, angles in radians, ink in 0 to 1. */
interface Hand {
  readonly height: Range;
  /** Width by height. */
  readonly aspect: Range;
  /** Largest shift of the centre, each way. */
  readonly shift: number;
  readonly slant: Range;
  readonly rotation: number;
  /** Standard deviation of each point of a stroke, as a part of the height. */
  readonly wobble: number;
  readonly thickness: Range;
  /** Ink of the whole image. */
  readonly ink: Range;
  /** Largest part of its ink that a stroke loses along its way. */
  readonly fade: number;
  /** Width of the soft edge of a stroke. */
  readonly edge: Range;
  /** Most specks in an image. */
  readonly specks: number;
  /** Largest noise on full ink, and on the background. */
  readonly grain: number;
  readonly dust: number;
}

const HAND: Hand = {
  height: [15.5, 18.5],
  aspect: [0.6, 0.95],
  shift: 3.65,
  slant: [-0.05, 0.2],
  rotation: 0.05,
  wobble: 0.018,
  thickness: [1.4, 2.4],
  ink: [0.7, 1.15],
  fade: 0.15,
  edge: [0.8, 1.6],
  specks: 3,
  grain: 0.06,
  dust: 0.015,
};

/**
 * Digits for training or testing: image i depends on the seed, the split and i alone. Every ten images in a row hold
 * each class once, so any `count` is balanced to one image.
 *
 * @throws Error if `count` is not a positive integer
 */
export function generateDigits({ count, seed = 1, split = 'train' }: DigitsOptions): Dataset {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new Error(`generateDigits: count is ${count}, expected a positive integer`);
  }
  const images = new Uint8Array(count * IMAGE_BYTES);
  const labels = new Uint8Array(count);
  const ink = new Float32Array(IMAGE_BYTES);
  for (let i = 0; i < count; i++) {
    if (i % 10 === 0) {
      const order = new Random(seed, split, 'order', i).shuffle([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      labels.set(order.slice(0, count - i), i);
    }
    ink.fill(0);
    const random = new Random(seed, split, 'image', i);
    drawDigit(ink, labels[i] as number, random);
    develop(ink, images.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES), random);
  }
  const source = `generated digits, seed ${seed}`;
  return { images, labels, count, source, mean: DIGITS_MEAN, std: DIGITS_STD };
}

/** A pen: what stays the same for all strokes of one image. */
interface Pen {
  readonly radius: number;
  readonly edge: number;
  readonly ink: number;
}

function drawDigit(ink: Float32Array, digit: number, random: Random): void {
  const styles = GLYPHS[digit] as readonly (readonly Stroke[])[];
  const strokes = styles[random.int(styles.length)] as readonly Stroke[];
  const place = placement(random);
  const pen: Pen = {
    radius: between(random, HAND.thickness) / 2,
    edge: between(random, HAND.edge),
    ink: between(random, HAND.ink),
  };
  for (const stroke of strokes) {
    const path = stroke.smooth ? smooth(place(stroke.points)) : place(stroke.points);
    const fade = random.uniform(0, HAND.fade);
    const steps = path.length / 2 - 1;
    // The pen presses hardest at one end of the stroke.
    const rising = random.int(2) === 0;
    for (let i = 0; i < steps; i++) {
      const way = steps < 2 ? 0 : i / (steps - 1);
      const pressure = 1 - fade * (rising ? 1 - way : way);
      drawSegment(ink, path.subarray(2 * i, 2 * i + 4), {
        radius: pen.radius * (0.5 + 0.5 * pressure),
        edge: pen.edge,
        ink: pen.ink * pressure,
      });
    }
  }
  for (let n = random.int(HAND.specks + 1); n > 0; n--) {
    const [x, y] = [random.uniform(1, IMAGE_SIZE - 1), random.uniform(1, IMAGE_SIZE - 1)];
    const end = [x + random.uniform(-1.5, 1.5), y + random.uniform(-1.5, 1.5)] as const;
    const speck = { radius: random.uniform(0.3, 0.8), edge: 1, ink: random.uniform(0.3, 0.9) };
    drawSegment(ink, Float32Array.of(x, y, ...end), speck);
  }
}

/** Draws one hand: gives the map from the unit square of the glyphs to pixels, with a wobble at each point. */
function placement(random: Random): (points: readonly number[]) => Float32Array {
  const height = between(random, HAND.height);
  const width = height * between(random, HAND.aspect);
  const slant = between(random, HAND.slant);
  const angle = random.uniform(-HAND.rotation, HAND.rotation);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const centreX = IMAGE_SIZE / 2 + random.uniform(-HAND.shift, HAND.shift);
  const centreY = IMAGE_SIZE / 2 + random.uniform(-HAND.shift, HAND.shift);
  const wobble = HAND.wobble * height;
  return (points) => {
    const path = new Float32Array(points.length);
    for (let i = 0; i < points.length; i += 2) {
      const y = ((points[i + 1] as number) - 0.5) * height;
      const x = ((points[i] as number) - 0.5) * width - slant * y;
      path[i] = centreX + x * cos - y * sin + random.normal(0, wobble);
      path[i + 1] = centreY + x * sin + y * cos + random.normal(0, wobble);
    }
    return path;
  };
}

/** Points between the given ones on a Catmull-Rom spline through them. */
function smooth(path: Float32Array): Float32Array {
  const last = path.length / 2 - 1;
  const parts = 4;
  const out = new Float32Array(2 * (last * parts + 1));
  const at = (i: number, axis: number) => path[2 * min(max(i, 0), last) + axis] as number;
  for (let i = 0; i < last; i++) {
    for (let part = 0; part <= parts; part++) {
      const t = part / parts;
      for (let axis = 0; axis < 2; axis++) {
        const [p0, p1, p2, p3] = [at(i - 1, axis), at(i, axis), at(i + 1, axis), at(i + 2, axis)];
        const bend = 2 * p0 - 5 * p1 + 4 * p2 - p3 + (3 * p1 - p0 - 3 * p2 + p3) * t;
        out[2 * (i * parts + part) + axis] = p1 + 0.5 * t * (p2 - p0 + t * bend);
      }
    }
  }
  return out;
}

/** Inks the pixels around a straight piece of a stroke; where pieces meet the darker ink stays. */
function drawSegment(ink: Float32Array, ends: Float32Array, pen: Pen): void {
  const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = ends;
  const [dx, dy] = [x1 - x0, y1 - y0];
  const lengthSquared = dx * dx + dy * dy || 1e-9;
  const reach = pen.radius + pen.edge / 2;
  const left = max(0, floor(min(x0, x1) - reach));
  const right = min(IMAGE_SIZE - 1, ceil(max(x0, x1) + reach));
  const top = max(0, floor(min(y0, y1) - reach));
  const bottom = min(IMAGE_SIZE - 1, ceil(max(y0, y1) + reach));
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const [px, py] = [column + 0.5 - x0, row + 0.5 - y0];
      const along = min(1, max(0, (px * dx + py * dy) / lengthSquared));
      const [offX, offY] = [px - along * dx, py - along * dy];
      const distance = sqrt(offX * offX + offY * offY);
      const value = min(1, (reach - distance) / pen.edge) * pen.ink;
      const pixel = row * IMAGE_SIZE + column;
      if (value > (ink[pixel] as number)) ink[pixel] = value;
    }
  }
}

/** Turns ink into bytes, with the noise of a scan: grain on the strokes, faint dust beside them. */
function develop(ink: Float32Array, image: Uint8Array, random: Random): void {
  for (let pixel = 0; pixel < IMAGE_BYTES; pixel++) {
    const value = ink[pixel] as number;
    const noise = random.uniform(-1, 1) * (HAND.dust + HAND.grain * value);
    image[pixel] = round(255 * min(1, max(0, value + noise)));
  }
}

function between(random: Random, [low, high]: Range): number {
  return random.uniform(low, high);
}
