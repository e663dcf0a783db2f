import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../../src/base/clock.ts';
import { openPki } from '../../../src/api/server/identity/pki.ts';

// oxlint-disable-next-line typescript/no-explicit-any
export type Review = any;

/** What is answered to the `request` of a review, as it is or as the body's text; undefined = nothing, ever. */
export type ReviewAnswer = (request: Review, path: string) => object | string | undefined;

/** A webhook with a certificate authority of its own. */
export class Webhook implements Disposable {
  readonly caBundle: string;
  readonly #server: Server;

  private constructor(server: Server, caPem: string) {
    this.#server = server;
    this.caBundle = Buffer.from(caPem).toString('base64');
  }

  static async open(answer: ReviewAnswer, dnsNames: readonly string[] = ['localhost']): Promise<Webhook> {
    const pki = await openPki(systemClock, { dir: undefined, dnsNames, ipAddresses: ['127.0.0.1'] });
    const { keyPem: key, certificatePem: cert } = pki.server;
    const server = createServer({ key, cert }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const review: Review = JSON.parse(Buffer.concat(chunks).toString('utf8'));
        const body = answer(review.request, request.url ?? '');
        if (body !== undefined) response.end(typeof body === 'string' ? body : JSON.stringify(body));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Webhook(server, pki.ca.pem);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  [Symbol.dispose](): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** The review that allows the request, with more or other fields in its response. */
export function admissionReview(request: Review, response: object): object {
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    response: { uid: request.uid, allowed: true, ...response },
  };
}
