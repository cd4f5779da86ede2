/** The assemblies of `src/assembly`: compiled as the module that uses one is loaded, in a millisecond or two. */

/** As much of the global as is used here; it belongs to the language's hosts, so its types are with none of its libraries. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: object }
}

/** Grows by pages, and then has another buffer: views of the one before are empty. */
export type WasmMemory = { readonly buffer: ArrayBuffer; grow(pages: number): number }

export type WasmConstant = { readonly value: number }

const PAGE_BYTES = 65_536

/** @param base64 of a module without imports @returns what it exports, which the caller knows */
export function instantiated<Exports extends object>(base64: string): Exports {
  const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0))
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as Exports
}

/** @returns whether it had to grow */
export function growTo(memory: WasmMemory, bytes: number): boolean {
  const missing = bytes - memory.buffer.byteLength
  if (missing <= 0) return false
  memory.grow(Math.ceil(missing / PAGE_BYTES))
  return true
}
