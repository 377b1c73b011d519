/** Reads the parts of a packet one after another, as if they were one. */
export class PartReader {
  readonly #parts: readonly Uint8Array[];
  #part = 0;
  #position = 0;

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts;
  }

  read(target: Buffer, at: number, length: number): void {
    let done = 0;
    while (done < length) {
      const part = this.#parts[this.#part] as Uint8Array;
      const step = Math.min(length - done, part.byteLength - this.#position);
      target.set(part.subarray(this.#position, this.#position + step), at + done);
      done += step;
      this.#position += step;
      if (this.#position === part.byteLength) {
        this.#part++;
        this.#position = 0;
      }
    }
  }
}
