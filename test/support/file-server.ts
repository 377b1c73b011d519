/** A web server on loopback that serves files as a test wants it: with or without ranges, badly, or not at all. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Files by their paths, which begin with a slash. */
export type Files = Readonly<Record<string, Uint8Array>>;

export class FileServer implements AsyncDisposable {
  readonly #server: Server;
  /** Address of the server, with a slash at the end. */
  readonly url: string;
  /** Path and range of each request, `/name bytes=3-`, as they came. */
  readonly requests: string[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  static async start(answer: Answer): Promise<FileServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const files = new FileServer(server);
    server.on('request', (request, response) => {
      const { range = '' } = request.headers;
      files.requests.push(`${request.url} ${range}`.trimEnd());
      answer(request, response);
    });
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

/** Serves files; by default it knows ranges. */
export function serving(files: Files, { ranges = true }: { ranges?: boolean } = {}): Answer {
  return (request, response) => {
    const bytes = files[request.url ?? ''];
    if (bytes === undefined) {
      response.writeHead(404).end('no such file');
      return;
    }
    const asked = /^bytes=(\d+)-$/.exec(ranges ? (request.headers.range ?? '') : '')?.[1];
    const from = Number(asked ?? 0);
    if (asked !== undefined && from >= bytes.length) {
      response.writeHead(416).end();
      return;
    }
    const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(asked === undefined ? 200 : 206, {
      'content-length': bytes.length - from,
      ...(asked === undefined ? {} : range),
    });
    response.end(bytes.subarray(from));
  };
}

/** Sends the head and the first `count` bytes of a file, then nothing more. */
export function sendingPart(bytes: Uint8Array, count: number): Answer {
  return (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, count));
  };
}
