/** SHA-256 and its HMAC in the form AWS's signer asks for: faster than its own, which has Node look at each key in vain. */
import { createHash, createHmac, createSecretKey, type Hash, type Hmac } from 'node:crypto'

export class Sha256 {
  private readonly secret: string | Uint8Array | undefined
  private hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.secret =
      secret === undefined || typeof secret === 'string'
        ? secret
        : ArrayBuffer.isView(secret)
          ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
          : new Uint8Array(secret)
    this.hash = this.begin()
  }

  update(data: Uint8Array): void {
    this.hash.update(data)
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.hash.digest()))
  }

  reset(): void {
    this.hash = this.begin()
  }

  private begin(): Hash | Hmac {
    const { secret } = this
    if (secret === undefined) return createHash('sha256')
    // To be told that bytes are no key object, Node throws and catches an error: five times the HMAC itself.
    return createHmac('sha256', typeof secret === 'string' ? secret : createSecretKey(secret))
  }
}
