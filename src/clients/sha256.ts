/** SHA-256 and its HMAC in the form AWS's signer asks for. With its own a signature costs half as much again. */
import { createHash, createHmac, createSecretKey, type Hash, type Hmac } from 'node:crypto'

type Secret = string | ArrayBuffer | NodeJS.ArrayBufferView

export class Sha256 {
  private readonly secret: Secret | undefined
  private hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.secret = secret as Secret | undefined
    this.hash = this.begin()
  }

  update(data: Uint8Array): void {
    this.hash.update(data)
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.hash.digest())
  }

  reset(): void {
    this.hash = this.begin()
  }

  private begin(): Hash | Hmac {
    const { secret } = this
    if (secret === undefined) return createHash('sha256')
    // To be told that bytes are no key object, Node throws and catches an error: five times the HMAC itself.
    return createHmac('sha256', typeof secret === 'string' ? secret : keyOf(secret))
  }
}

function keyOf(bytes: Exclude<Secret, string>) {
  return createSecretKey(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes)
}
