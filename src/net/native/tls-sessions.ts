import { tlsCalls } from './tls-calls.ts';

/**
 * The TLS state of the descriptors that one thread serves. Memory is shared, as that of a DescriptorTable is: when the
 * thread dies, whoever started it frees what it left.
 */
export class TlsSessions {
  /** By descriptor: the address of its SSL, 0 = none. */
  readonly memory: Float64Array<SharedArrayBuffer>;

  constructor(memory: Float64Array<SharedArrayBuffer>) {
    this.memory = memory;
  }

  static sized(descriptorsMax: number): TlsSessions {
    return new TlsSessions(new Float64Array(new SharedArrayBuffer(descriptorsMax * 8)));
  }

  note(fd: number, ssl: number): void {
    this.memory[fd] = ssl;
  }

  free(fd: number, ssl: number): void {
    this.memory[fd] = 0; // first: the thread may die in between
    tlsCalls().SSL_free(ssl);
  }

  /** For the end of a thread, before its descriptors are closed, and for the one who outlived it. */
  freeAll(): void {
    this.memory.forEach((ssl, fd) => {
      if (ssl !== 0) this.free(fd, ssl);
    });
  }
}
